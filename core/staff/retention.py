"""Erases the text of conversations when the time is over for which it is kept."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import timedelta

from core.domain import utc_now
from core.errors import StorageError
from core.privacy import PrivacyDesk

logger = logging.getLogger(__name__)

EVERY_SECONDS = 3600.0
_AT_ONCE = 500  # rows of one transaction: SQLite has one writer, and customers wait for it


class Retention:
    """Any number of processes may run it: what one has erased, the others no longer find."""

    def __init__(self, desk: PrivacyDesk, days: int, every: float = EVERY_SECONDS) -> None:
        """`days` 0 keeps everything."""
        self._desk = desk
        self._days = days
        self._every = every

    async def run(self) -> None:
        """Erase what is over time, every hour, until cancelled; a database that is away is asked again the next time."""
        while True:
            try:
                await self.erase_old()
            except StorageError as error:
                logger.error("old texts cannot be erased: %s", error)
            await asyncio.sleep(self._every * random.uniform(0.5, 1))  # noqa: S311  # so that processes do not go in step

    async def erase_old(self) -> int:
        """Erase what is over time now; return how many rows it was."""
        if not self._days:
            return 0
        before, erased = utc_now() - timedelta(days=self._days), 0
        while done := await self._desk.forget_before(before, _AT_ONCE):
            erased += done
        if erased:
            logger.info("the text of %d turns or messages older than %d days was erased", erased, self._days)
        return erased
