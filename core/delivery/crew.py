"""Claims work and does it, several pieces at once, until cancelled; then lets what runs come to an end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from core.errors import StorageError

logger = logging.getLogger(__name__)

Work = TypeVar("Work")
IDLE_SECONDS = 0.5  # without a bell, as between processes: the longest a piece of work waits to be noticed
_STORAGE_SECONDS = 1.0


class Bell:
    """Wakes whoever looks for work in this process; a missed ring costs `IDLE_SECONDS`, never a message."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Say that there may be work."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Return at the next ring, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return
        self._rung.clear()


class Crew(Generic[Work]):
    """Runs `do` on what `claim` gives, at most `at_once` pieces at a time."""

    def __init__(
        self,
        claim: Callable[[], Awaitable[Work | None]],
        do: Callable[[Work], Awaitable[None]],
        bell: Bell,
        *,
        at_once: int,
        drain_seconds: float,
    ) -> None:
        """`do` must not raise; when it is cancelled it gives its piece back."""
        self._claim = claim
        self._do = do
        self._bell = bell
        self._room = asyncio.Semaphore(at_once)
        self._drain_seconds = drain_seconds
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled, then claim no more, wait up to `drain_seconds` for what runs, and cancel the rest."""
        try:
            while True:
                await self._room.acquire()
                self._start(await self._next())
        finally:
            await self._drain()

    async def _next(self) -> Work:
        while True:
            try:
                work = await self._claimed()
                if work is not None:
                    return work
                pause = IDLE_SECONDS
            except StorageError as error:
                logger.error("%s Trying again.", error)
                pause = _STORAGE_SECONDS
            await self._bell.wait(pause * random.uniform(0.5, 1))  # noqa: S311  # so that processes do not ask in step

    async def _claimed(self) -> Work | None:
        """Claim; a cancellation waits for the claim, or what it got would lie idle until its lease runs out."""
        claiming = asyncio.ensure_future(self._claim())
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with suppress(StorageError):  # it must not take the place of the cancellation: nothing would ever stop this crew
                if (work := await claiming) is not None:
                    self._start(work)
            raise

    def _start(self, work: Work) -> None:
        task = asyncio.ensure_future(self._do(work))
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._room.release()
        if not task.cancelled() and task.exception() is not None:
            logger.critical("a piece of work raised; its lease will run out", exc_info=task.exception())

    async def _drain(self) -> None:
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._drain_seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


def backoff(attempts: int, first: float, longest: float) -> float:
    """Return seconds to wait before attempt `attempts` + 1: full jitter over a doubling range (Brooker 2015)."""
    doubled = first * 2 ** min(attempts - 1, 60)  # a reply that is told to wait for hours gets to 1,025, and no float holds that
    return random.uniform(0, min(longest, doubled))  # noqa: S311
