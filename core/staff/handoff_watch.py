"""Sees to customers whom nobody takes: reminds staff, calls those on call, then tells the customer; each once, whoever else watches."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import datetime

from core.domain import utc_now
from core.errors import StorageError
from core.handoff import Handoffs, Step
from core.hours import Hours
from core.staff.handoff import Courtesy

logger = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
REMINDER = "This customer still waits. Who takes them?"
ESCALATION = "Nobody has taken this customer yet."
_TIMES = {Step.REMINDER: 1, Step.ESCALATION: 2, Step.APOLOGY: 3}  # how often the patience of staff is used up


class HandoffWatch:
    """Looks for customers who wait too long. While staff are away nobody is reminded: the customer was told when they are back."""

    def __init__(
        self,
        handoffs: Handoffs,
        courtesy: Courtesy,
        hours: Hours,
        patience: float,
        ring: Callable[[], object],
        clock: Callable[[], datetime] = utc_now,
        every: float = EVERY_SECONDS,
    ) -> None:
        """`patience`: seconds until staff are reminded, twice as many until they are called, three times until the customer is told;
        0: never. `ring` wakes the courier of this process.
        """
        self._handoffs = handoffs
        self._courtesy = courtesy
        self._hours = hours
        self._patience = patience
        self._ring = ring
        self._clock = clock
        self._every = every

    async def run(self) -> None:
        """Look until cancelled; a database that is away is asked again at the next look."""
        while True:
            try:
                await self.look()
            except StorageError as error:
                logger.error("nobody can be reminded of customers who wait: %s", error)
            await asyncio.sleep(self._every * random.uniform(0.5, 1))  # noqa: S311  # so that processes do not look in step

    async def look(self) -> int:
        """Do what is due; return for how many customers."""
        now = self._clock()
        since = self._hours.open_since(now)
        if since is None or self._patience <= 0:
            return 0
        done = 0
        texts = {Step.REMINDER: REMINDER, Step.ESCALATION: ESCALATION, Step.APOLOGY: self._courtesy.nobody_yet()}
        for step, times in _TIMES.items():
            if (now - since).total_seconds() >= times * self._patience:  # whoever came in the night waits from the morning on
                done += await self._handoffs.nudge(step, times * self._patience, texts[step])
        if done:
            self._ring()
        return done
