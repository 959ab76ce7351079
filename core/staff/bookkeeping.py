"""Keeps the figures of days up to date."""

from __future__ import annotations

import asyncio
import logging
import random

from core.errors import StorageError
from core.figures import FigureBook

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0


class Bookkeeping:
    """Any number of processes may run it: a day is counted anew, not added to."""

    def __init__(self, book: FigureBook, every: float = EVERY_SECONDS) -> None:
        self._book = book
        self._every = every

    async def run(self) -> None:
        """Count what is new, every minute, until cancelled; a database that is away is asked again the next time."""
        while True:
            try:
                await self._book.refresh()
            except StorageError as error:
                logger.error("the figures of the overview cannot be counted: %s", error)
            await asyncio.sleep(self._every * random.uniform(0.5, 1))  # noqa: S311  # so that processes do not go in step
