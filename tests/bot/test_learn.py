"""A run of the loop that breaks off says why, and the next one goes on from what was learnt; two do not go on at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_learning import Wanted, learn, run_book_of
from bot.settings import read
from core.domain import utc_now
from core.errors import TrainingError
from core.learning import STOPPED, LearningRun, State
from core.registry import Kind
from core.training import recipe as recipes
from core.training import workplace
from core.training.progress import Progress, Watch
from tests.bot.learnable import RECIPE, prepare

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")]


def test_what_breaks_off_has_failed_and_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)
    Path("recipe.toml").write_text(RECIPE.format(share=0.2).replace("epochs = 6", "epochs = 1").replace("looks = 4", "looks = 12"))
    asyncio.run(_broken_off())


async def _broken_off() -> None:
    async with frontdesk(read(), lambda line: None) as graph:
        with pytest.raises(TrainingError, match="the power failed"):
            await _learn(graph, _fails_at(3))
        with pytest.raises(asyncio.CancelledError):
            await _cancelled_at(graph, 5)
        await _training_has_ended(graph)
        seen: list[Progress] = []
        run = await _learn(graph, seen.append)
        assert run.model_id and run.state in (State.CHALLENGER, State.PROMOTED)
        assert min(now.step for now in seen) > 3  # from the checkpoint of the last look
        assert run.report is not None and run.report.losses[0].held_out is not None
        runs = [(one.state, one.reason) for one in await run_book_of(graph).runs()]
        assert runs[1:] == [(State.FAILED, STOPPED), (State.FAILED, "the power failed")]
        other = LearningRun("other", Kind.GENERATOR, "cli:eve", State.RUNNING, utc_now())
        await run_book_of(graph).begin(other)
        with pytest.raises(TrainingError, match=r"A run goes on already, begun .* by cli:eve"):
            await _learn(graph, seen.append)
        audited = [entry.result for entry in await graph.audit_log.entries(20) if entry.action == "learning.run"]
        assert audited == ["refused", run.state.value, "started", "failed", "started", "failed", "started"]


async def _learn(graph: Frontdesk, watch: Watch) -> LearningRun:
    return await learn(graph, Wanted(recipes.read(Path("recipe.toml"))), "cli:ada", lambda step, done, total: None, watch)


async def _cancelled_at(graph: Frontdesk, step: int) -> None:
    loop = asyncio.get_running_loop()

    def watch(now: Progress) -> None:
        if now.step == step:
            loop.call_soon_threadsafe(running.cancel)

    running = asyncio.create_task(_learn(graph, watch))
    await running


async def _training_has_ended(graph: Frontdesk) -> None:
    """A command waits for its thread before it ends; here the process goes on."""
    async with asyncio.timeout(60):
        while True:
            try:
                with workplace.alone(graph.settings.data_dir / "training" / "lock"):
                    return
            except TrainingError:
                await asyncio.sleep(0.02)


def _fails_at(step: int) -> Watch:
    def watch(now: Progress) -> None:
        if now.step == step and now.loss is not None:
            raise TrainingError("the power failed")

    return watch
