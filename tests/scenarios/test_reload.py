"""Models change under running conversations, by commands in Slack and in Discord, and nobody notices but staff."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from bot.setting_groups import Limits
from core.domain import Generation, Prompt
from core.domain import Limits as Length
from core.errors import ModelError
from core.registry import Alias, Kind, ModelVersion, Step
from core.serving.canary import Canary
from core.serving.follower import Follower
from core.serving.switch import ModelSwitch
from core.storage.database import Database
from core.storage.drafts import SqlDrafts
from core.storage.host_board import SqlHostBoard
from core.storage.model_registry import SqlModelRegistry
from tests.core.serving.versions import Shelf, Versioned
from tests.scenarios.surfaces import OPEN, Surface

PARCELS = "how long does a parcel take?"
SAYS = {"a@1": "A parcel takes 3 days.", "b@2": "You can follow it on our page."}  # each version its own sentence of the article
CUSTOMERS = 50
UNLIMITED = Limits(user_per_minute=0, conversation_per_minute=0)


class Speaking(Versioned):
    """Writes its sentence in two pieces; with a gate it waits between them."""

    async def stream(self, prompt: Prompt, limits: Length) -> AsyncGenerator[str | Generation, None]:
        assert not self.closed
        self.prompts.append(prompt)
        said = SAYS[self.version]
        yield said[:10]
        if self.gate is not None:
            await self.gate.wait()
        assert not self.closed, "it was closed while it wrote"
        yield f"{said[10:]} [1]"
        yield Generation(f"{said} [1]", self.version)


@dataclass
class Speakers(Shelf):
    """Loads models that speak; those loaded while there is a gate wait for it."""

    gate: asyncio.Event | None = None
    spoken: list[Speaking] = field(default_factory=list)

    async def load(self, version: ModelVersion, *, anew: bool = False) -> Speaking:
        self.spoken.append(Speaking(version.model_id, self.gate))
        return self.spoken[-1]


@dataclass
class Stage:
    """A platform, the models behind it, and what refuses its probe."""

    chat: Surface
    models: Speakers
    switch: ModelSwitch
    refused: dict[str, str]

    def writing(self) -> int:
        """How many answers have begun."""
        return sum(len(one.prompts) for one in self.models.spoken)

    async def began(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.writing() < count:  # noqa: ASYNC110  # models ring no bell
                await asyncio.sleep(0.02)

    async def done(self) -> list[dict[str, str]]:
        """Every turn, when all is quiet."""
        async with asyncio.timeout(60):
            while (backlog := await self.chat.desk.graph.inbox.backlog()).waiting or backlog.undelivered:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return [turn for turn in await self.chat.desk.turns() if turn["question"] == PARCELS]


@asynccontextmanager
async def stage(platform: str, database: Database) -> AsyncIterator[Stage]:
    registry, board, models, refused = SqlModelRegistry(database), SqlHostBoard(database), Speakers(), {}
    for model_id in SAYS:
        await registry.register(ModelVersion(model_id, Kind.GENERATOR, model_id))
    await registry.assign(Kind.GENERATOR, Alias.CHAMPION, "a@1", Step.PROMOTE, "setup")
    switches = {alias: ModelSwitch(alias) for alias in Alias}

    async def unseen(*_: object) -> None:
        raise AssertionError("nothing is written silently here")

    async def probe(generator: object) -> str:
        if why := refused.get(str(generator.version)):  # type: ignore[attr-defined]
            raise ModelError(why)
        return "probe 1 of 1"

    async def announce(text: str, key: str) -> None:
        await SqlDrafts(database).announce(platform, text, key)

    canary = Canary(switches[Alias.CHAMPION], switches[Alias.CHALLENGER], unseen, unseen)
    follower = Follower("host-1", registry, board, models, switches, canary, probe, announce)
    models.gate = asyncio.Event()
    await follower.start()
    async with AsyncExitStack() as stack:
        chat = await stack.enter_async_context(OPEN[platform](database, generator=canary, workers=2, limits=UNLIMITED))
        following = asyncio.create_task(follower.run())
        try:
            yield Stage(chat, models, switches[Alias.CHAMPION], refused)
        finally:
            following.cancel()
            await asyncio.wait([following])
            await canary.aclose()


@pytest.mark.parametrize("platform", list(OPEN))
async def test_models_are_promoted_and_rolled_back_from_chat_while_fifty_answers_are_written(
    platform: str, open_database: Callable[[str], Awaitable[Database]]
) -> None:
    async with stage(platform, await open_database("sqlite")) as on:
        roots = [await on.chat.ask(PARCELS) for _ in range(CUSTOMERS)]
        await on.began(CUSTOMERS)
        gate, on.models.gate = on.models.gate, None
        assert "b@2" in await on.chat.order("promote", version="b@2")
        assert "Done in 1 of 1 processes." in await on.chat.confirm()
        roots += [await on.chat.ask(PARCELS) for _ in range(5)]  # answered by the new one while fifty wait on the old one
        await on.began(CUSTOMERS + 5)
        assert "served before" in await on.chat.order("rollback")
        assert "b@2 -> a@1" in await on.chat.confirm()
        assert gate is not None
        assert on.models.spoken[0].closed == 0
        gate.set()
        turns = await on.done()
        for root in roots:
            assert len(on.chat.said(root)) == 1
        await on.switch.settled()
        assert [(one.version, one.closed) for one in on.models.spoken] == [("a@1", 1), ("b@2", 1), ("a@1", 0)]
        staff = "\n".join(on.chat.said_to_staff())
    wrote = [turn["lineage"]["model"] for turn in turns]  # type: ignore[index]
    assert (len(turns), wrote.count("a@1"), wrote.count("b@2")) == (CUSTOMERS + 5, CUSTOMERS, 5)
    assert all(turn["text"] == f"{SAYS[model]} [1]" for turn, model in zip(turns, wrote, strict=True))
    assert "serves as champion now" in staff
    assert staff.count("before") == 2


@pytest.mark.parametrize("platform", list(OPEN))
async def test_a_reload_that_fails_its_probe_leaves_the_old_one_serving_and_says_why_in_the_channel(
    platform: str, open_database: Callable[[str], Awaitable[Database]]
) -> None:
    async with stage(platform, await open_database("sqlite")) as on:
        on.models.gate = None
        on.refused["b@2"] = "b@2 failed its probe: 0 of 4 golden questions."
        await on.chat.order("promote", version="b@2")
        assert "0 of 4 golden questions" in await on.chat.confirm()
        await on.chat.until(lambda: "0 of 4 golden questions" in "\n".join(on.chat.said_to_staff()))
        assert "serves on" in "\n".join(on.chat.said_to_staff())
        assert on.switch.serves == "a@1"
        audited = [(actor.rpartition(":")[2], action, result) for actor, action, result in await _audited(on)]
    assert [entry[1:] for entry in audited] == [
        ("models.promote.ask", "done"),
        ("models.promote", "started"),
        ("models.promote", "failed"),
    ]


async def _audited(on: Stage) -> list[tuple[str, str, str]]:
    entries = await on.chat.desk.graph.audit_log.entries(100)
    return [(entry.actor, entry.action, entry.result) for entry in reversed(entries)]
