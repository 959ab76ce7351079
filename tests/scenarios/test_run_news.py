"""Staff hear of a run of the learning loop, once, and admins decide there, in Slack and in Discord: once, and never over somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest

from bot.bootstrap_models import announce
from bot.learning_news import news
from core.domain import utc_now
from core.learning import Interval, LearningRun, Report, State
from core.registry import Alias, Kind, ModelVersion, Step
from core.staff.run_control import SILENTLY
from core.storage.database import Database
from core.storage.learning_runs import SqlRunBook
from core.storage.model_registry import SqlModelRegistry
from tests.scenarios.surfaces import ANN, OPEN, Surface

CONSOLE = "https://desk.example.com"
REPORT = Report({"n": 60.0, "rouge_l": 0.2}, {"n": 60.0, "rouge_l": 0.5}, {"rouge_l": Interval(0.3, 0.2, 0.4)})
RUN = LearningRun("run-7", Kind.GENERATOR, "schedule", State.CHALLENGER, utc_now(), None, "b@2", "a@1", "It may be better.", REPORT)


@dataclass
class Desk:
    """A platform, and the registry behind it."""

    chat: Surface
    registry: SqlModelRegistry

    async def told(self, run: LearningRun) -> None:
        """A run ends, and staff hear of it; twice, as when its process dies in between."""
        book = SqlRunBook(self.chat.desk.graph.database)
        await book.begin(run)
        await book.end(run)
        for _ in range(2):
            await announce(self.chat.desk.graph, news(run, CONSOLE), f"run-{run.run_id}", run.run_id)
        await self.chat.until(self.chat.said_to_staff)

    async def champion(self) -> str:
        move = await self.registry.current(Kind.GENERATOR, Alias.CHAMPION)
        return move.model_id if move else ""

    async def audited(self) -> list[tuple[str, str]]:
        entries = await self.chat.desk.graph.audit_log.entries(50)
        return [(entry.action, entry.result) for entry in reversed(entries) if entry.action.startswith("models.")]


@pytest.fixture
async def opened(open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Callable[[str], Awaitable[Desk]]]:
    async with AsyncExitStack() as stack:

        async def opened(platform: str) -> Desk:
            database = await open_database("sqlite")
            registry = SqlModelRegistry(database)
            for model_id in ("a@1", "b@2", "c@3"):
                await registry.register(ModelVersion(model_id, Kind.GENERATOR, model_id))
            await registry.assign(Kind.GENERATOR, Alias.CHAMPION, "a@1", Step.PROMOTE, "setup")
            return Desk(await stack.enter_async_context(OPEN[platform](database)), registry)

        yield opened


@pytest.mark.parametrize("platform", list(OPEN))
async def test_an_admin_promotes_from_the_news_once_and_nobody_else_may(platform: str, opened: Callable[[str], Awaitable[Desk]]) -> None:
    desk = await opened(platform)
    await desk.told(RUN)
    (said,) = desk.chat.said_to_staff()
    assert "b@2 was trained, a@1 serves on" in said and "60 held-out questions: ROUGE-L +0.300 (+0.200 to +0.400)" in said
    assert f"{CONSOLE}/console/models/runs/run-7" in said
    assert desk.chat.offered() == ["Promote", "Keep"]
    assert "Only admins may do this" in await desk.chat.decide("run_promote", ANN)
    assert await desk.champion() == "a@1"
    assert "b@2 is champion from now on" in await desk.chat.decide("run_promote")
    assert await desk.chat.decide("run_promote") == "b@2 serves already."
    assert [move.model_id for move in await desk.registry.history(Kind.GENERATOR, Alias.CHAMPION)] == ["b@2", "a@1"]
    once = [("models.run_promote", "started"), ("models.run_promote", "done")]
    assert await desk.audited() == [("models.run_promote", "denied"), *once, *once]


@pytest.mark.parametrize("platform", list(OPEN))
async def test_two_presses_at_the_same_moment_move_the_champion_once(platform: str, opened: Callable[[str], Awaitable[Desk]]) -> None:
    desk = await opened(platform)
    await desk.told(RUN)
    await asyncio.gather(desk.chat.decide("run_promote"), desk.chat.decide("run_promote"))
    assert [move.model_id for move in await desk.registry.history(Kind.GENERATOR, Alias.CHAMPION)] == ["b@2", "a@1"]


@pytest.mark.parametrize("platform", list(OPEN))
async def test_what_was_promoted_meanwhile_is_not_overridden(platform: str, opened: Callable[[str], Awaitable[Desk]]) -> None:
    desk = await opened(platform)
    await desk.told(RUN)
    await desk.registry.assign(Kind.GENERATOR, Alias.CHAMPION, "c@3", Step.PROMOTE, "cli:eve")
    said = await desk.chat.decide("run_promote")
    assert "Nothing was changed: c@3 serves since" in said and "(cli:eve), not a@1 any more." in said
    assert await desk.champion() == "c@3"


@pytest.mark.parametrize("platform", list(OPEN))
async def test_keeping_the_champion_ends_the_silent_challenger_of_the_run(platform: str, opened: Callable[[str], Awaitable[Desk]]) -> None:
    desk = await opened(platform)
    await desk.registry.assign(Kind.GENERATOR, Alias.CHALLENGER, "b@2", Step.PROMOTE, "schedule", reason=f"{SILENTLY} run-7")
    await desk.told(RUN)
    assert await desk.chat.decide("run_keep") == "a@1 serves on."
    beside = await desk.registry.current(Kind.GENERATOR, Alias.CHALLENGER)
    assert beside is not None and beside.model_id == ""
    assert await desk.chat.decide("run_keep") == "a@1 serves on."
    assert await desk.champion() == "a@1"


@pytest.mark.parametrize("platform", list(OPEN))
async def test_what_the_gate_promoted_is_taken_back_from_the_news(platform: str, opened: Callable[[str], Awaitable[Desk]]) -> None:
    desk = await opened(platform)
    await desk.registry.assign(Kind.GENERATOR, Alias.CHAMPION, "b@2", Step.PROMOTE, "schedule")
    await desk.told(replace(RUN, state=State.PROMOTED))
    assert desk.chat.offered() == ["Roll back", "Keep"]
    assert await desk.chat.decide("run_keep") == "b@2 serves on."
    assert "a@1 is champion from now on" in await desk.chat.decide("run_rollback")
    assert await desk.chat.decide("run_rollback") == "a@1 serves again already."
    assert await desk.champion() == "a@1"
