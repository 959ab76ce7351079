"""Runs of learning begin by themselves when it is time, one at a time whoever looks, and go on after a restart."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.domain import utc_now
from core.errors import TrainingError
from core.learning import SILENT_SECONDS, STOPPED, LearningRun, State
from core.registry import Kind
from core.staff.learning_schedule import LearningSchedule
from core.storage.memory_models import MemoryRunBook

DAY = timedelta(days=1)


class Office:
    """A book of runs, a clock that can be put forward, and processes that look."""

    def __init__(self) -> None:
        self.now = utc_now()
        self.book = MemoryRunBook(self.clock)
        self.ends = State.NOTHING
        self.reason = ""
        self.begun = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def clock(self) -> datetime:
        return self.now

    def process(self, every: timedelta | None = DAY) -> LearningSchedule:
        return LearningSchedule(self.book, every, self._begin, self.clock)

    async def _begin(self) -> None:
        run = LearningRun(f"run-{self.begun}", Kind.GENERATOR, "schedule", State.RUNNING, self.now)
        with suppress(TrainingError):  # as a process of its own, which says so and ends
            await self.book.begin(run)
            self.begun += 1
            await self.gate.wait()
            await self.book.end(replace(run, state=self.ends, reason=self.reason))


@pytest.fixture
async def office() -> Office:
    return Office()


@pytest.mark.parametrize("ends", [State.NOTHING, State.PROMOTED, State.CHALLENGER, State.FAILED])
async def test_the_first_run_begins_at_once_and_the_next_when_it_is_time(office: Office, ends: State) -> None:
    office.ends, schedule = ends, office.process()
    assert [await schedule.look(), await schedule.look()] == [True, False]
    office.now += DAY - timedelta(seconds=1)
    assert not await schedule.look()
    office.now += timedelta(seconds=1)
    assert await schedule.look()
    assert office.begun == 2


async def test_of_many_processes_that_look_at_once_one_begins(office: Office) -> None:
    office.gate.clear()
    looking = [asyncio.create_task(office.process().look()) for _ in range(5)]
    while not office.begun:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert not await office.process().look()
    office.gate.set()
    await asyncio.gather(*looking)
    assert office.begun == 1


async def test_a_run_that_a_restart_stopped_goes_on_at_the_next_look(office: Office) -> None:
    office.ends, office.reason = State.FAILED, STOPPED
    assert await office.process().look()
    assert await office.process().look()


async def test_a_run_whose_process_died_counts_as_one(office: Office) -> None:
    await office.book.begin(LearningRun("died", Kind.GENERATOR, "schedule", State.RUNNING, office.now))
    office.now += timedelta(seconds=SILENT_SECONDS + 1)
    assert not await office.process().look()  # what runs out of memory would be begun again and again
    office.now += DAY
    assert await office.process().look()


async def test_without_the_setting_nothing_begins(office: Office) -> None:
    assert not await office.process(None).look()
    await office.process(None).run()
