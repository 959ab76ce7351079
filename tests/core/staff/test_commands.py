"""Commands of admins do what they say, leave a trace before and after, and are refused to everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest

from core.errors import ModelError
from core.ports import Backlog
from core.presence import EVERYWHERE, Channel, Mode
from core.staff.commands import CHANGES_PER_HOUR, Caller, Commands, ModelControl, Order, Outcome
from core.staff.rights import Person, Rule
from core.storage.memory import MemoryKnowledgeStore
from core.storage.memory_records import MemoryAuditLog
from core.storage.memory_staff import MemoryChannels, MemoryTurnBook

ADA = Person("ada", "home", is_guest=False, is_stranger=False, is_bot=False, groups=frozenset())
ADMIN = Caller(ADA, "slack", "home", "C-ops")
GUEST = Caller(replace(ADA, is_guest=True), "slack", "home", "C-ops")
CHANNEL = ("slack", "home", "C1")


class Models:
    """`ModelControl` of two versions; says what it is told, breaks as it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def status(self) -> str:
        return "Champion: answers@2"

    async def reload(self, actor: str) -> str:
        if self._error:
            raise self._error
        return "answers@1 -> answers@2"

    async def promote(self, model_id: str, actor: str) -> str:
        return f"{model_id} by {actor}"

    async def rollback(self, kind: str, actor: str) -> str:
        return f"{kind}@2 -> {kind}@1"

    async def canary(self, share: int, model_id: str, actor: str) -> str:
        return f"{model_id or 'challenger'} at {share}"

    async def end_canary(self, actor: str) -> str:
        return "no challenger"


@dataclass
class Office:
    """Commands and all they touch."""

    models: ModelControl = field(default_factory=Models)
    drafts: tuple[str, ...] = ("slack",)
    audit: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    channels: MemoryChannels = field(default_factory=lambda: MemoryChannels(MemoryTurnBook()))
    knowledge: MemoryKnowledgeStore = field(default_factory=MemoryKnowledgeStore)

    @property
    def commands(self) -> Commands:
        async def backlog() -> Backlog:
            return Backlog(3, 4.6, 1, 2)

        rules = {"slack": Rule(frozenset({"home"}), frozenset({"ada"}))}
        return Commands(rules, self.audit, self.channels, self.knowledge, backlog, self.models, self.drafts)

    def trace(self) -> list[tuple[str, str, str, str]]:
        return [(entry.actor, entry.action, entry.target, entry.result) for entry, _ in self.audit.rows]


@pytest.fixture
async def office() -> Office:
    office = Office()
    for version in ("v1", "v2"):
        await office.knowledge.add_release("default", version, 10, "minilm", "setup")
    return office


EVERY_COMMAND: dict[str, Callable[[Commands, Caller], Awaitable[Outcome]]] = {
    "status": lambda commands, caller: commands.status(caller),
    "reload": lambda commands, caller: commands.carry_out(caller, Order("reload")),
    "rollback": lambda commands, caller: commands.carry_out(caller, Order("rollback", "generator")),
    "promote": lambda commands, caller: commands.carry_out(caller, Order("promote", "answers@2")),
    "canary": lambda commands, caller: commands.carry_out(caller, Order("canary", "10% answers@2")),
    "propose": lambda commands, caller: commands.propose(caller, Order("reload")),
    "mute everywhere": lambda commands, caller: commands.mute(caller, EVERYWHERE),
    "set_mode": lambda commands, caller: commands.set_mode(caller, "C1", "confident"),
    "mute": lambda commands, caller: commands.mute(caller, "C1"),
    "unmute": lambda commands, caller: commands.unmute(caller, "C1"),
    "knowledge list": lambda commands, caller: commands.knowledge(caller),
    "knowledge rollback": lambda commands, caller: commands.knowledge(caller, "default", "v1"),
}


@pytest.mark.parametrize("name", EVERY_COMMAND)
@pytest.mark.parametrize(
    "caller",
    [
        GUEST,
        Caller(replace(ADA, user_id="zoe"), "slack", "home"),
        Caller(replace(ADA, is_stranger=None), "slack", "home"),
        Caller(ADA, "discord", "home"),
    ],
    ids=["guest", "not listed", "unknown", "a platform without admins"],
)
async def test_bad_input_40_a_command_of_somebody_else_does_nothing_and_is_audited(name: str, caller: Caller, office: Office) -> None:
    outcome = await EVERY_COMMAND[name](office.commands, caller)
    assert not outcome.ok
    assert [(actor, result) for actor, _, _, result in office.trace()] == [(caller.actor, "denied")]
    assert office.audit.rows[0][0].detail == {"channel": caller.channel_id, "reason": outcome.text}
    assert await office.channels.channel(*CHANNEL) == Channel()
    assert await office.knowledge.active("default") == "v2"


@pytest.mark.parametrize("name", [name for name in EVERY_COMMAND if name not in ("status", "knowledge list", "propose")])
async def test_a_change_is_in_the_audit_log_before_and_after(name: str, office: Office) -> None:
    outcome = await EVERY_COMMAND[name](office.commands, ADMIN)
    assert outcome.ok
    (before, after) = (entry for entry, _ in office.audit.rows)
    assert (before.actor, before.result, after.result) == ("slack:home:ada", "started", "done")
    assert (before.action, before.target) == (after.action, after.target)
    assert after.detail == {"channel": "C-ops", "said": outcome.text}


async def test_a_mode_is_set_for_the_channel_and_the_answer_says_what_it_was(office: Office) -> None:
    await office.commands.set_mode(ADMIN, "C1", "draft")
    outcome = await office.commands.set_mode(ADMIN, "C1", "off")
    assert outcome == (True, "The mode of this channel is now off; before it was draft.")
    assert await office.channels.channel(*CHANNEL) == Channel(Mode.OFF)


async def test_drafts_that_nobody_would_see_are_refused_with_what_to_set() -> None:
    office = Office(drafts=("discord",))
    outcome = await office.commands.set_mode(ADMIN, "C1", "draft")
    assert outcome == (False, "Nobody would see the drafts: set slack.staff_channel and restart.")
    assert await office.channels.channel(*CHANNEL) == Channel()


async def test_a_mode_that_does_not_exist_is_refused_with_those_that_do(office: Office) -> None:
    outcome = await office.commands.set_mode(ADMIN, "C1", "loud")
    assert (outcome.ok, "off, mention, thread, confident, draft" in outcome.text) == (False, True)
    assert await office.channels.channel(*CHANNEL) == Channel()
    assert [result for *_, result in office.trace()] == ["started", "failed"]


async def test_a_channel_of_an_organisation_is_silenced_where_it_is_listened_to(office: Office) -> None:
    await office.commands.mute(ADMIN._replace(workspace_id="organisation"), "C1")
    assert (await office.channels.channel("slack", "organisation", "C1")).muted


async def test_a_muted_channel_keeps_its_mode(office: Office) -> None:
    await office.commands.set_mode(ADMIN, "C1", "thread")
    await office.commands.mute(ADMIN, "C1")
    assert await office.channels.channel(*CHANNEL) == Channel(Mode.THREAD, muted=True)
    await office.commands.unmute(ADMIN, "C1")
    assert await office.channels.channel(*CHANNEL) == Channel(Mode.THREAD, muted=False)


async def test_status_tells_what_is_served_and_what_waits(office: Office) -> None:
    outcome = await office.commands.status(ADMIN)
    assert outcome.text.splitlines() == [
        "Knowledge default: v2",
        "Champion: answers@2",
        "Waiting: 3 messages, the oldest for 5 s",
        "On their way: 2 replies",
        "Given up: 1 messages",
    ]
    assert [result for *_, result in office.trace()] == ["done"]


async def test_an_older_knowledge_is_served_again_and_one_that_never_was_is_not(office: Office) -> None:
    outcome = await office.commands.knowledge(ADMIN, "default", "v1")
    assert outcome == (True, "Knowledge default is served as v1; before it was v2.")
    assert await office.knowledge.active("default") == "v1"
    unknown = await office.commands.knowledge(ADMIN, "default", "../v9")
    assert (unknown.ok, "no published version" in unknown.text) == (False, True)
    assert await office.knowledge.active("default") == "v1"


async def test_the_list_of_knowledge_shows_which_one_serves(office: Office) -> None:
    lines = (await office.commands.knowledge(ADMIN)).text.splitlines()
    assert [(line.split(":")[0], line.endswith("serving")) for line in lines] == [("default v2", True), ("default v1", False)]
    assert (await office.commands.knowledge(ADMIN, "nothing")).text == "Nothing is published."


async def test_models_are_reloaded_five_times_an_hour_at_most_whoever_asks_and_however_fast_but_rolled_back_at_any_time(
    office: Office,
) -> None:
    outcomes = await asyncio.gather(*(office.commands.carry_out(ADMIN, Order("reload")) for _ in range(CHANGES_PER_HOUR + 2)))
    assert [outcome.ok for outcome in outcomes].count(True) == CHANGES_PER_HOUR == 5
    assert [result for *_, result in office.trace()].count("too_many") == 2
    for _ in range(CHANGES_PER_HOUR + 2):
        assert (await office.commands.carry_out(ADMIN, Order("rollback"))).ok


async def test_a_reload_that_fails_says_why_and_one_that_breaks_off_is_in_the_log_too() -> None:
    office = Office(Models(ModelError("answers@2 is damaged.")))
    assert await office.commands.carry_out(ADMIN, Order("reload")) == (False, "answers@2 is damaged.")
    office.models = Models(RuntimeError("a secret"))
    with pytest.raises(RuntimeError):
        await office.commands.carry_out(ADMIN, Order("reload"))
    assert [result for *_, result in office.trace()] == ["started", "failed", "started", "failed"]
    assert "secret" not in str(office.audit.rows)


@pytest.mark.parametrize(
    ("order", "question", "done"),
    [
        (Order("promote", "answers@2"), "Serve answers@2 from now on?", "answers@2 by slack:home:ada"),
        (Order("rollback"), "Serve the generator that served before?", "generator@2 -> generator@1"),
        (Order("reload"), "Open the model that serves anew?", "answers@1 -> answers@2"),
        (Order("canary", "10% answers@2"), "Let answers@2 answer 10 % of the conversations?", "answers@2 at 10"),
        (Order("canary", "10"), "Let the challenger answer 10 % of the conversations?", "challenger at 10"),
        (Order("canary", "0% answers@2"), "Let answers@2 write silently beside the champion?", "answers@2 at 0"),
        (Order("canary", "off"), "Take the challenger out?", "no challenger"),
    ],
)
async def test_an_order_is_told_in_words_before_it_is_carried_out(office: Office, order: Order, question: str, done: str) -> None:
    assert await office.commands.propose(ADMIN, order) == (True, question)
    assert await office.commands.carry_out(ADMIN, order) == (True, done)


@pytest.mark.parametrize(
    "order", [Order("promote"), Order("canary"), Order("canary", "ten answers@2"), Order("canary", "-1%"), Order("dance")]
)
async def test_an_order_that_says_nothing_is_answered_with_what_can_be_said(office: Office, order: Order) -> None:
    asked = await office.commands.propose(ADMIN, order)
    assert (asked.ok, "canary 10% [ID]" in asked.text) == (False, True)


async def test_silence_everywhere_is_over_every_channel_and_ends_without_a_trace(office: Office) -> None:
    await office.commands.set_mode(ADMIN, "C1", "confident")
    assert (await office.commands.mute(ADMIN, EVERYWHERE)).text == "The bot is silent everywhere now."
    for channel in (CHANNEL, ("discord", "guild", "17")):
        assert (await office.channels.channel(*channel)).everywhere
    await office.commands.unmute(ADMIN, EVERYWHERE)
    assert await office.channels.channel(*CHANNEL) == Channel(Mode.CONFIDENT)
