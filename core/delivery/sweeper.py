"""Tells customers once that their answer takes longer than usual."""

from __future__ import annotations

import asyncio
import logging
import random

from core.delivery.crew import Bell
from core.errors import StorageError
from core.ports import Outbox

logger = logging.getLogger(__name__)

LATE_SECONDS = 60.0  # as long as a lease: a message that a dead worker held is taken over by then
EVERY_SECONDS = 5.0


class Sweeper:
    """Looks for messages that have waited too long; any number of processes may, each customer is told once."""

    def __init__(self, outbox: Outbox, text: str, finished: Bell, late: float = LATE_SECONDS, every: float = EVERY_SECONDS) -> None:
        """`text` is what customers are told after `late` seconds; `finished` wakes the courier of this process."""
        self._outbox = outbox
        self._text = text
        self._finished = finished
        self._late = late
        self._every = every

    async def run(self) -> None:
        """Look until cancelled; a database that is away is asked again at the next look."""
        while True:
            try:
                await self.sweep()
            except StorageError as error:
                logger.error("nobody can be told that an answer is late: %s", error)
            await asyncio.sleep(self._every * random.uniform(0.5, 1))  # noqa: S311  # so that processes do not look in step

    async def sweep(self) -> int:
        """Tell those who have waited too long; return how many."""
        told = await self._outbox.tell_late(self._text, self._late)
        if told:
            logger.warning("%d conversations wait for longer than %g s; they were told", told, self._late)
            self._finished.ring()
        return told
