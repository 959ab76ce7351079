"""How the bot does, counted by day, channel and model: the values, and the port."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from operator import add
from typing import NamedTuple, Protocol

from core.members import Scope

LATENCY_BOUNDS_MS = (10, 15, 25, 40, 60, 100, 150, 250, 400, 600, 1000, 1500, 2500, 4000, 6000, 10_000, 15_000, 25_000, 40_000)


_COUNTED = ("turns", "resolved", "abstained", "clarified", "handed_over", "helpful", "unhelpful", "prompt_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of turns in which the bot said something. `latencies` has one count for each bound and one for what took longer."""

    turns: int = 0
    resolved: int = 0
    abstained: int = 0
    clarified: int = 0
    handed_over: int = 0
    helpful: int = 0
    unhelpful: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latencies: tuple[int, ...] = field(default=(0,) * (len(LATENCY_BOUNDS_MS) + 1))

    def __add__(self, other: Figures) -> Figures:
        """Return the figures of both."""
        summed = {name: getattr(self, name) + getattr(other, name) for name in _COUNTED}
        return Figures(**summed, latencies=tuple(map(add, self.latencies, other.latencies)))

    @property
    def resolution(self) -> float | None:
        """Share of turns with an answer that nobody called unhelpful."""
        return _share(self.resolved, self.turns)

    @property
    def abstention(self) -> float | None:
        """Share of turns in which the bot knew no answer."""
        return _share(self.abstained, self.turns)

    @property
    def satisfaction(self) -> float | None:
        """Share of helpful among what was judged."""
        return _share(self.helpful, self.helpful + self.unhelpful)

    def latency_ms(self, share: float) -> float | None:
        """Return the time within which that share of replies was ready, interpolated within its bucket."""
        total = sum(self.latencies)
        if not total:
            return None
        rank, below = share * total, 0
        for number, count in enumerate(self.latencies):
            if count and below + count >= rank:
                low = LATENCY_BOUNDS_MS[number - 1] if number else 0
                high = LATENCY_BOUNDS_MS[number] if number < len(LATENCY_BOUNDS_MS) else low * 2
                return low + (high - low) * (rank - below) / count
            below += count
        return None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


class Period(NamedTuple):
    """Days, both included, in UTC."""

    first: date
    last: date


class Overview(NamedTuple):
    """The figures of a period: in all, by day, by platform and workspace, and by model (empty: no model wrote)."""

    total: Figures
    by_day: dict[date, Figures]
    by_workspace: dict[tuple[str, str], Figures]
    by_model: dict[str, Figures]
    until: datetime | None  # what was written before it is counted; None: nothing was yet


class FigureBook(Protocol):
    """Counts kept for each day, so that a year of a million turns costs a few hundred rows."""

    async def refresh(self) -> int:
        """Count again the days in which something may have changed; return how many. Any number of processes may."""
        ...

    async def refresh_all(self) -> int:
        """Count every day again: turns of long ago have come in."""
        ...

    async def overview(self, scope: Scope, period: Period, platform: str | None = None) -> Overview:
        """Return the figures of a period."""
        ...
