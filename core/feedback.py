"""What people think of a reply: the values, and the port they are kept through."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.domain import utc_now
from core.text import clean

MAX_COMMENT_CHARS = 2000


class FeedbackReason(StrEnum):
    """What is wrong with a reply."""

    WRONG = "wrong"
    OUTDATED = "outdated"
    INCOMPLETE = "incomplete"
    RUDE = "rude"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one person thinks of one reply."""

    turn_id: str
    actor_id: str
    helpful: bool
    reason: FeedbackReason | None = None
    comment: str = ""
    given_at: datetime = field(default_factory=utc_now)

    def cleaned(self) -> Feedback:
        """Return it as it may be kept: the comment cleaned and cut."""
        return replace(self, comment=clean(self.comment)[:MAX_COMMENT_CHARS])


class FeedbackLog(Protocol):
    """Keeps what people think of replies."""

    async def give(self, feedback: Feedback) -> bool:
        """Keep it in place of what this person thought of this turn before; False when there is no such turn."""
        ...

    async def of(self, turn_id: str) -> tuple[Feedback, ...]:
        """Return what everybody thinks of a turn, first given first."""
        ...
