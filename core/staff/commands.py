"""What admins can have done, from any surface: who may, what happens, and an entry in the audit log before and after."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from core.audit import STARTED, AuditLog
from core.errors import FrontdeskError
from core.knowledge import KnowledgeStore, Release
from core.ports import Backlog
from core.presence import EVERYWHERE, Channels, Mode
from core.staff.rights import Person, Rule, Verdict, may_administer

CHANGES_PER_HOUR = 5
_HOUR = 3600.0
_SHOWN_RELEASES = 10
_GO_BACK = ("rollback", "run_rollback", "run_keep")
_PERCENT = re.compile(r"(\d{1,3}) ?%?")

Work = Callable[[], Awaitable[str]]


class Caller(NamedTuple):
    """Who gives a command, and where."""

    person: Person
    platform: str
    workspace_id: str  # the installation it is given in: of a whole organisation, where the person belongs to one of its teams
    channel_id: str = ""
    known_as: str = ""  # to the audit log, where that is not by platform and account

    @property
    def actor(self) -> str:
        """How the audit log names them."""
        return self.known_as or f"{self.platform}:{self.person.workspace_id or ''}:{self.person.user_id}"


class Outcome(NamedTuple):
    """What came of a command, in words for whoever gave it."""

    ok: bool
    text: str


class ModelControl(Protocol):
    """Models that can change while they serve. Each method returns text for people and raises `FrontdeskError`.

    What changes something returns when every process has followed, and then the old version serves nowhere, or everywhere after an error.
    """

    async def status(self) -> str:
        """Tell which models serve where, how well, and what was changed last."""
        ...

    async def reload(self, actor: str) -> str:
        """Open the version that serves anew."""
        ...

    async def promote(self, model_id: str, actor: str) -> str:
        """Serve another version."""
        ...

    async def rollback(self, kind: str, actor: str) -> str:
        """Serve the version of this kind of model that served before; for an embedder, its indexes too."""
        ...

    async def canary(self, share: int, model_id: str, actor: str) -> str:
        """Let a version answer `share` percent of the conversations, at 0 silently beside; empty: the challenger that there is."""
        ...

    async def end_canary(self, actor: str) -> str:
        """Take the challenger out."""
        ...


class RunDecisions(Protocol):
    """What can be decided about a run of the learning loop. Each method returns text for people and raises `FrontdeskError`."""

    async def promote(self, run_id: str, actor: str) -> str:
        """Let its version serve."""
        ...

    async def roll_back(self, run_id: str, actor: str) -> str:
        """Let the version before serve again."""
        ...

    async def keep(self, run_id: str, actor: str) -> str:
        """Leave the version that serves."""
        ...


class Order(NamedTuple):
    """A change of models, as it was typed or pressed; what is typed is carried out once somebody has confirmed it."""

    name: str  # reload | promote | rollback | canary; run_promote | run_rollback | run_keep
    argument: str = ""


class _NotDoneError(FrontdeskError):
    """What was asked for makes no sense; the message says why."""


class Commands:
    """The commands of admins. Every one that changes something is audited twice, every one that is denied once."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        audit: AuditLog,
        channels: Channels,
        knowledge: KnowledgeStore,
        backlog: Callable[[], Awaitable[Backlog]],
        models: ModelControl,
        drafts: Collection[str] = (),
        runs: RunDecisions | None = None,
    ) -> None:
        """`rules` by platform: without one nobody there is an admin. `drafts`: platforms on which staff have a place for drafts."""
        self._rules = rules
        self._audit = audit
        self._channels = channels
        self._knowledge = knowledge
        self._backlog = backlog
        self._models = models
        self._drafts = drafts
        self._runs = runs

    async def status(self, caller: Caller) -> Outcome:
        """Tell what is served and what waits."""
        return await self._look(caller, "status", self._status)

    async def propose(self, caller: Caller, order: Order) -> Outcome:
        """Tell what an order would change, for whoever may give it to confirm; nothing is changed yet."""
        return await self._look(caller, f"models.{order.name}.ask", lambda: self._question(order))

    async def carry_out(self, caller: Caller, order: Order) -> Outcome:
        """Change the models; what loads something five times an hour at most, whoever asks, what goes back at any time."""
        goes_back = order.name in _GO_BACK or (order.name == "canary" and order.argument.split(" ")[0] in ("off", "0", "0%"))
        per_hour = 0 if goes_back else CHANGES_PER_HOUR
        target = order.argument or "models"
        return await self._change(caller, f"models.{order.name}", target, lambda: self._obey(order, caller.actor), per_hour=per_hour)

    async def set_mode(self, caller: Caller, channel_id: str, mode: str) -> Outcome:
        """Set where the bot speaks in a channel of the workspace."""
        place = self._place(caller, channel_id)
        return await self._change(caller, "channel.mode", ":".join(place), lambda: self._set_mode(place, mode))

    async def mute(self, caller: Caller, channel_id: str) -> Outcome:
        """Silence the bot in a channel, or everywhere."""
        return await self._set_muted(caller, channel_id, muted=True)

    async def unmute(self, caller: Caller, channel_id: str) -> Outcome:
        """Let the bot speak again in a channel, or everywhere, as it was set before."""
        return await self._set_muted(caller, channel_id, muted=False)

    async def knowledge(self, caller: Caller, knowledge: str = "", version: str = "") -> Outcome:
        """List what was published, of all or of one knowledge base; with a `version`, serve that one again."""
        if not version:
            return await self._look(caller, "knowledge.list", lambda: self._releases(knowledge))
        return await self._change(caller, "knowledge.rollback", knowledge, lambda: self._activate(caller, knowledge, version))

    async def _look(self, caller: Caller, action: str, work: Work) -> Outcome:
        refused = await self._refused(caller, action, "")
        return refused or await self._done(caller, action, "", work)

    async def _change(self, caller: Caller, action: str, target: str, work: Work, *, per_hour: int = 0) -> Outcome:
        refused = await self._refused(caller, action, target)
        if refused:
            return refused
        if not per_hour:
            await self._audit.record(caller.actor, action, target, STARTED, channel=caller.channel_id)
        elif not await self._audit.start(caller.actor, action, target, limit=per_hour, seconds=_HOUR, channel=caller.channel_id):
            await self._audit.record(caller.actor, action, target, "too_many", channel=caller.channel_id)
            return Outcome(False, f"This was done {per_hour} times within the last hour, which is the most. Please wait.")
        return await self._done(caller, action, target, work)

    async def _refused(self, caller: Caller, action: str, target: str) -> Outcome | None:
        rule = self._rules.get(caller.platform)
        verdict = may_administer(caller.person, rule) if rule else Verdict(False, f"No admins are set for {caller.platform}.")
        if verdict.allowed:
            return None
        await self._audit.record(caller.actor, action, target, "denied", channel=caller.channel_id, reason=verdict.reason)
        return Outcome(False, verdict.reason)

    async def _done(self, caller: Caller, action: str, target: str, work: Work) -> Outcome:
        """Do it and say how it went; what fails in another way than it should is in the log too, and goes on to whoever catches it."""
        result, said = "failed", "it broke off"
        try:
            said = await work()
            result = "done"
        except FrontdeskError as error:
            said = str(error)
        finally:
            await self._audit.record(caller.actor, action, target, result, channel=caller.channel_id, said=said)
        return Outcome(result == "done", said)

    async def _question(self, order: Order) -> str:
        match order.name:
            case "promote" if order.argument:
                return f"Serve {order.argument} from now on?"
            case "rollback":
                return f"Serve the {order.argument or 'generator'} that served before?"
            case "canary" if order.argument:
                share, model_id = canary_of(order.argument)
                who = model_id or "the challenger"
                if share is None:
                    return "Take the challenger out?"
                return f"Let {who} answer {share} % of the conversations?" if share else f"Let {who} write silently beside the champion?"
            case "reload":
                return "Open the model that serves anew?"
            case "run_promote" if order.argument:
                return "Serve the version that this run has made?"
            case "run_rollback" if order.argument:
                return "Serve the version again that the one of this run has replaced?"
            case "run_keep" if order.argument:
                return "Leave the version that serves?"
        raise _NotDoneError("Say what: reload, promote ID, rollback [KIND], canary 10% [ID], canary off.")

    async def _obey(self, order: Order, actor: str) -> str:
        match order.name:
            case "promote":
                return await self._models.promote(order.argument, actor)
            case "rollback":
                return await self._models.rollback(order.argument or "generator", actor)
            case "canary":
                share, model_id = canary_of(order.argument)
                return await (self._models.end_canary(actor) if share is None else self._models.canary(share, model_id, actor))
            case "reload":
                return await self._models.reload(actor)
            case "run_promote" if self._runs:
                return await self._runs.promote(order.argument, actor)
            case "run_rollback" if self._runs:
                return await self._runs.roll_back(order.argument, actor)
            case "run_keep" if self._runs:
                return await self._runs.keep(order.argument, actor)
        raise _NotDoneError(f"There is no order {order.name!r}.")

    async def _status(self) -> str:
        served = [f"Knowledge {name}: {await self._knowledge.active(name) or 'not published'}" for name in await self._knowledge.names()]
        models = await self._models.status()
        backlog = await self._backlog()
        waits = f"Waiting: {backlog.waiting} messages, the oldest for {backlog.oldest_seconds:.0f} s"
        return "\n".join([*served, models, waits, f"On their way: {backlog.undelivered} replies", f"Given up: {backlog.dead} messages"])

    async def _set_mode(self, place: tuple[str, str, str], mode: str) -> str:
        if mode not in tuple(Mode):
            raise _NotDoneError(f"There is no mode {mode!r}. Modes: {', '.join(Mode)}.")
        if mode == Mode.DRAFT and place[0] not in self._drafts:
            raise _NotDoneError(f"Nobody would see the drafts: set {place[0]}.staff_channel and restart.")
        before = (await self._channels.channel(*place)).mode
        await self._channels.set_mode(*place, Mode(mode))
        return f"The mode of this channel is now {mode}; before it was {before or 'not set'}."

    async def _set_muted(self, caller: Caller, channel_id: str, *, muted: bool) -> Outcome:
        place = self._place(caller, channel_id)

        async def work() -> str:
            await self._channels.set_muted(*place, muted)
            where = "everywhere" if channel_id == EVERYWHERE else "in this channel"
            return f"The bot is silent {where} now." if muted else f"The bot speaks {where} again."

        return await self._change(caller, "channel.mute" if muted else "channel.unmute", ":".join(place), work)

    def _place(self, caller: Caller, channel_id: str) -> tuple[str, str, str]:
        """A channel of the workspace where the command is given: a rule of one must not reach into another."""
        return (EVERYWHERE,) * 3 if channel_id == EVERYWHERE else (caller.platform, caller.workspace_id, channel_id)

    async def _releases(self, knowledge: str) -> str:
        names = [knowledge] if knowledge else await self._knowledge.names()
        lines = [_line(name, one) for name in names for one in (await self._knowledge.releases(name))[:_SHOWN_RELEASES]]
        return "\n".join(lines) or "Nothing is published."

    async def _activate(self, caller: Caller, knowledge: str, version: str) -> str:
        before = await self._knowledge.active(knowledge)
        await self._knowledge.activate(knowledge, version, caller.actor)
        return f"Knowledge {knowledge} is served as {version}; before it was {before}."


def _line(name: str, release: Release) -> str:
    published = f"{release.published_at:%Y-%m-%d %H:%M}"
    return f"{name} {release.version}: {release.passages} passages, {published}{', serving' if release.active else ''}"


def canary_of(argument: str) -> tuple[int | None, str]:
    """Return the share in percent, None for `off`, and the version, empty for the challenger that there is. Raises `FrontdeskError`."""
    first, _, model_id = argument.strip().partition(" ")
    if first == "off":
        return None, ""
    percent = _PERCENT.fullmatch(first)
    if percent is None:
        raise _NotDoneError(f"{first!r} is no share: canary 10% [ID], canary 0% [ID] to write silently, or canary off.")
    return int(percent[1]), model_id.strip()
