"""Questions that got no answer from the knowledge: the values, and the port through which they are found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias

from core.domain import Reason
from core.members import Scope

REASONS = (Reason.LOW_CONFIDENCE, Reason.CLOSE_CANDIDATES)  # handed over, or asked back, because nothing was found that is sure


class Question(NamedTuple):
    """One question as it was asked."""

    turn_id: str
    text: str
    asked_at: datetime
    platform: str
    reason: Reason


class UnansweredLog(Protocol):
    """Finds questions without an answer."""

    async def questions(self, scope: Scope, limit: int) -> tuple[Question, ...]:
        """Return the last questions within `scope` that got no answer, newest first."""
        ...

    async def answer_by_staff(self, turn_id: str) -> str:
        """Return the first thing that somebody other than who asked wrote afterwards, once a person had the conversation; or nothing."""
        ...


Grouping: TypeAlias = Callable[[Sequence[str]], Awaitable[list[list[int]]]]
"""Positions of the texts that mean the same, the most central first; the largest group first, every text in one group."""
