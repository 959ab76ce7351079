"""Begins a run of the learning loop when it is time for one; any number of processes may look, one run goes on at a time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from core.domain import utc_now
from core.errors import FrontdeskError
from core.learning import STOPPED, LearningRun, RunBook, State

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
_LOOKED_AT = 20  # runs: more were not stopped in a row


class LearningSchedule:
    """`begin` does a run and returns when it has ended; the book of runs sees to it that of two that begin at once one does."""

    def __init__(
        self, runs: RunBook, every: timedelta | None, begin: Callable[[], Awaitable[None]], clock: Callable[[], datetime] = utc_now
    ) -> None:
        """`every` None: never."""
        self._runs = runs
        self._every = every
        self._begin = begin
        self._clock = clock

    async def run(self) -> None:
        """Look every minute, until cancelled; what fails is tried again when it is time the next time."""
        while self._every is not None:
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.5, 1))  # noqa: S311  # so that processes do not go in step
            try:
                await self.look()
            except (FrontdeskError, OSError) as error:
                logger.error("no run of learning was begun: %s", error)

    async def look(self) -> bool:
        """Do a run if it is time for one; tell whether it was."""
        if self._every is None or not is_due(await self._runs.runs(_LOOKED_AT), self._every, self._clock()):
            return False
        await self._begin()
        return True


def is_due(runs: Sequence[LearningRun], every: timedelta, now: datetime) -> bool:
    """Tell whether no run goes on and the last one, newest first, began long enough ago; one that a restart stopped goes on at once."""
    if any(run.state is State.RUNNING for run in runs):
        return False
    last = next((run for run in runs if run.reason != STOPPED), None)
    return last is None or now - last.started_at >= every
