"""Work in order within each channel, at once across channels, and again after a failure: the gateway sends nothing a second time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bot.dispatch import NotAcceptedError
from core.delivery.crew import backoff
from core.errors import DeliveryError, RefusedError, StorageError

logger = logging.getLogger(__name__)

FIRST_DELAY, LONGEST_DELAY = 0.2, 30.0  # seconds between two attempts
MAX_WAITING = 20_000  # pieces of work: so much is held in memory while the database is away

Work = Callable[[], Awaitable[None]]


class Lanes:
    """A queue for each channel."""

    def __init__(self, first_delay: float = FIRST_DELAY) -> None:
        self._first_delay = first_delay
        self._last: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, lane: int, work: Work) -> asyncio.Task[None] | None:
        """Do `work` after what was begun in this lane before; None when too much waits already, and it is left undone."""
        if len(self._tasks) >= MAX_WAITING:
            logger.error("what Discord sent is dropped: %d events wait to be stored. Is the database there?", len(self._tasks))
            return None
        task = asyncio.ensure_future(self._after(self._last.get(lane), work))
        self._last[lane] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(lane, done))
        return task

    async def idle(self) -> None:
        """Return when nothing waits."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def aclose(self, seconds: float) -> None:
        """Finish what waits for so long, then give it up: it is back-filled by the next process."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _forget(self, lane: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._last.get(lane) is task:
            del self._last[lane]

    async def _after(self, before: asyncio.Task[None] | None, work: Work) -> None:
        if before is not None:
            await asyncio.wait([before])
        attempts = 0
        while True:
            try:
                await work()
                return
            except RefusedError as error:
                logger.info("what Discord sent is passed over: %s", error)
                return
            except (NotAcceptedError, StorageError, DeliveryError) as error:
                attempts += 1
                logger.warning("what Discord sent could not be stored, attempt %d: %s", attempts, error)
                await asyncio.sleep(backoff(attempts, self._first_delay, LONGEST_DELAY))
            except Exception:
                logger.exception("what Discord sent is passed over")
                return
