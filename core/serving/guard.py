"""Stops a challenger that is worse than the champion, when that is clear."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

from core.comparison import MOST_RECORDS, worse
from core.errors import StorageError
from core.registry import Alias, Kind, ModelRegistry, Step, VersionLog

logger = logging.getLogger(__name__)

SECONDS = 30.0


@dataclass(frozen=True)
class Guard:
    """Compares the two as long as there is a challenger; any number of processes may: one of them stops it."""

    registry: ModelRegistry
    log: VersionLog

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            with suppress(StorageError):
                await self.look()

    async def look(self) -> str:
        """Stop the challenger if it is worse, and return why, empty when it goes on."""
        tried = await self.registry.current(Kind.GENERATOR, Alias.CHALLENGER)
        champion = await self.registry.current(Kind.GENERATOR, Alias.CHAMPION)
        if tried is None or not tried.model_id or champion is None:
            return ""
        moves = takewhile(lambda move: move.model_id == tried.model_id, await self.registry.history(Kind.GENERATOR, Alias.CHALLENGER))
        begun_at = min(move.assigned_at for move in moves)
        since = max(begun_at, champion.assigned_at)
        old = await self.log.records(champion.model_id, since, MOST_RECORDS)
        why = worse(old, await self.log.records(tried.model_id, since, MOST_RECORDS))
        if why:
            reason = f"Challenger {tried.model_id} was stopped: {why}."
            stopped = await self.registry.assign(
                Kind.GENERATOR, Alias.CHALLENGER, "", Step.CLEAR, "guard", reason=reason, after=tried.assignment_id
            )
            logger.warning("%s%s", reason, "" if stopped else " Somebody else was faster.")
        return why
