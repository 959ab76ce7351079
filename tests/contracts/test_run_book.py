"""Runs of learning are kept with their reports, one goes on at a time, and none for ever, in memory and on every database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.domain import utc_now
from core.errors import TrainingError
from core.learning import DIED, SILENT_SECONDS, Doing, Interval, LearningRun, Loss, Report, RunBook, Sample, State
from core.registry import Kind
from core.storage.database import Database
from core.storage.learning_runs import SqlRunBook
from core.storage.memory_models import MemoryRunBook
from core.storage.model_tables import learning_runs

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
RUN = LearningRun("run-1", Kind.GENERATOR, "cli:ada", State.RUNNING, LONG_AGO)
REPORT = Report(
    {"rouge_l": 0.25, "citation": None},
    {"rouge_l": 0.5, "citation": 1.0},
    {"rouge_l": Interval(0.25, 0.125, 0.375)},
    (Loss(0, None, 2.5), Loss(1, 2.25, None)),
    (Sample("How do I pay?", "By card.", "I don't know.", "By card [1].", 0.0, 1.0),),
    {"index": "20261127"},
)


class InMemory:
    """A book whose clock can be put forward."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self.book: RunBook = MemoryRunBook(lambda: utc_now() + self._ahead)

    async def let_pass(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


class InSql:
    """A book whose rows can be made older."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.book: RunBook = SqlRunBook(database)

    async def let_pass(self, seconds: float) -> None:
        async with self._database.write() as connection:
            for row in (await connection.execute(learning_runs.select())).mappings().all():
                older = {name: row[name] - timedelta(seconds=seconds) for name in ("started_at", "seen_at")}
                await connection.execute(learning_runs.update().where(learning_runs.c.run_id == row["run_id"]).values(older))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def kept(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> Any:
    return InMemory() if request.param == "memory" else InSql(await open_database(request.param))


async def test_a_run_is_found_again_with_its_report_and_the_times_of_the_database(kept: Any) -> None:
    book: RunBook = kept.book
    await book.begin(RUN)
    begun = await book.run("run-1")
    assert begun is not None and begun.state is State.RUNNING
    assert abs(begun.started_at - utc_now()) < timedelta(minutes=1)
    ended = replace(RUN, state=State.PROMOTED, model_id="answers@1", against="extractive", reason="It is better.", report=REPORT)
    await book.end(ended)
    found = await book.run("run-1")
    assert found is not None and found.ended_at is not None
    assert found == replace(ended, started_at=begun.started_at, ended_at=found.ended_at)
    assert await book.run("run-2") is None
    assert await book.runs() == (replace(found, report=None),)


async def test_the_newest_runs_come_first(kept: Any) -> None:
    for run_id in ("a", "b", "c"):
        await kept.book.begin(replace(RUN, run_id=run_id))
        await kept.book.end(replace(RUN, run_id=run_id, state=State.NOTHING))
        await kept.let_pass(60)
    assert [run.run_id for run in await kept.book.runs(2)] == ["c", "b"]


async def test_bad_input_two_runs_at_once_one_is_refused_and_told_of_the_other(kept: Any) -> None:
    begun = await asyncio.gather(*(kept.book.begin(replace(RUN, run_id=run_id)) for run_id in "ab"), return_exceptions=True)
    (refused,) = [one for one in begun if one is not None]
    assert isinstance(refused, TrainingError)
    assert "A run goes on already, begun " in str(refused) and "by cli:ada. Wait for it to end." in str(refused)
    assert len(await kept.book.runs()) == 1


async def test_a_run_whose_process_died_has_failed_and_the_next_one_may_begin(kept: Any) -> None:
    await kept.book.begin(RUN)
    await kept.let_pass(SILENT_SECONDS / 2)
    await kept.book.beat("run-1")
    await kept.let_pass(SILENT_SECONDS / 2 + 1)
    with pytest.raises(TrainingError):
        await kept.book.begin(replace(RUN, run_id="run-2"))  # a sign of life keeps it
    await kept.let_pass(SILENT_SECONDS / 2)
    (died,) = await kept.book.runs()
    assert (died.state, died.reason) == (State.FAILED, DIED)
    await kept.book.begin(replace(RUN, run_id="run-2"))
    assert {run.run_id: run.state for run in await kept.book.runs()} == {"run-1": State.FAILED, "run-2": State.RUNNING}


async def test_how_far_a_run_is_is_told_while_it_goes_on(kept: Any) -> None:
    await kept.book.begin(RUN)
    await kept.book.beat("run-1")
    assert [run.doing for run in await kept.book.runs()] == [None]
    doing = Doing("train", 12, 34, 0.5, 90.0)
    await kept.book.beat("run-1", doing)
    assert [run.doing for run in await kept.book.runs()] == [doing]
    await kept.book.beat("run-1", doing._replace(loss=float("nan")))
    await kept.let_pass(SILENT_SECONDS + 1)
    (died,) = await kept.book.runs()
    assert (died.state, died.doing) == (State.FAILED, None)
    await kept.book.begin(replace(RUN, run_id="run-2"))
    await kept.book.beat("run-2", doing)
    await kept.book.end(replace(RUN, run_id="run-2", state=State.NOTHING))
    await kept.book.beat("run-2", doing)  # one that was on its way
    await kept.book.beat("run-1", doing)
    assert [(run.state, run.doing) for run in await kept.book.runs()] == [(State.NOTHING, None), (State.FAILED, None)]


async def test_bad_input_19_what_a_model_wrote_is_kept_whatever_it_is(kept: Any) -> None:
    report = replace(REPORT, samples=(Sample("a\x00b", "\ud800", "x", "y", 0.0, 1.0),))
    await kept.book.begin(RUN)
    await kept.book.end(replace(RUN, state=State.FAILED, reason="no\x00number", report=report))
    found = await kept.book.run("run-1")
    assert found is not None and found.report is not None and len(found.report.samples) == 1
