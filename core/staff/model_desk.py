"""What staff see of the models in one look: versions, which of them serve where, how well, and what was changed last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.comparison import MOST_RECORDS, Quality, quality
from core.registry import Alias, Assignment, HostBoard, HostReport, Kind, ModelRegistry, ModelVersion, VersionLog
from core.staff.model_control import HEARD_SECONDS

_MOVES = 20
_RECORDS = min(MOST_RECORDS, 2000)  # a page should not read a month of answers


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """All of it, newest first."""

    versions: tuple[ModelVersion, ...]
    aliases: tuple[Assignment, ...]  # those that lead to something
    qualities: Mapping[Alias, Quality]
    hosts: tuple[HostReport, ...]
    moves: tuple[Assignment, ...]

    def aliases_of(self, version: ModelVersion) -> tuple[Assignment, ...]:
        """Return the aliases that lead to a version."""
        return tuple(move for move in self.aliases if (move.kind, move.model_id) == (version.kind, version.model_id))

    def serves(self, version: ModelVersion) -> bool:
        """Tell whether a version answers customers now."""
        return any(move.alias is Alias.CHAMPION for move in self.aliases_of(version))


@dataclass(frozen=True, slots=True)
class ModelDesk:
    """Looks everything up."""

    registry: ModelRegistry
    board: HostBoard
    log: VersionLog

    async def overview(self) -> ModelOverview:
        """Return the models as they are now."""
        found = [await self.registry.current(kind, alias) for kind in Kind for alias in Alias]
        aliases = tuple(move for move in found if move is not None and move.model_id)
        generators = [move for move in aliases if move.kind is Kind.GENERATOR]
        moves = [move for alias in Alias for move in await self.registry.history(Kind.GENERATOR, alias, _MOVES)]
        moves += await self.registry.history(Kind.EMBEDDER, Alias.CHAMPION, _MOVES)
        return ModelOverview(
            await self.registry.versions(),
            aliases,
            {move.alias: await self._quality(move) for move in generators},
            await self.board.reports(HEARD_SECONDS),
            tuple(sorted(moves, key=lambda move: move.assignment_id, reverse=True)[:_MOVES]),
        )

    async def _quality(self, move: Assignment) -> Quality:
        return quality(await self.log.records(move.model_id, move.assigned_at, _RECORDS))
