"""Which turns people should look at, in which order, and what they said of them: the values, and the port of the queue."""

from __future__ import annotations

from datetime import datetime
from enum import IntFlag, StrEnum
from typing import NamedTuple, Protocol

from core.domain import Decision, Reason, Reply
from core.members import Scope
from core.mood import Tone, mood_of
from core.review import TurnRecord

CLAIM_SECONDS = 600.0
UNSURE_BELOW = 0.75  # an answer is given from 0.69 on, a curated one from 0.85
_SAMPLED_OF = 50  # one good turn in so many
# Nothing was answered, so there is nothing to judge.
_NOTICES = (Reason.TOO_MANY, Reason.DELAYED, Reason.NOTICE, Reason.TAKEN_BACK, Reason.WITH_PERSON, Reason.NOT_FOR_BOT)


class Sign(IntFlag):
    """Why a turn should be looked at. The worst is the greatest, so that the sum of them orders the queue."""

    SAMPLED = 1
    HANDED_OVER = 2
    UNHAPPY = 4
    UNGROUNDED = 8
    UNSURE = 16
    UNHELPFUL = 32


class Verdict(StrEnum):
    """What a reviewer says of a turn."""

    GOOD = "good"
    NEEDS_CORRECTION = "needs_correction"
    SKIP = "skip"


def signs_of(turn_id: str, question: str, reply: Reply) -> Sign:
    """Return what is known when a turn is written; no sign at all: nobody needs to look."""
    if reply.decision is Decision.SILENT or reply.reason in _NOTICES:
        return Sign(0)
    signs = Sign(0)
    if reply.reason in (Reason.LOW_CONFIDENCE, Reason.CLOSE_CANDIDATES) or (reply.decision.answers and reply.confidence < UNSURE_BELOW):
        signs |= Sign.UNSURE
    if reply.reason is Reason.QUOTED:
        signs |= Sign.UNGROUNDED
    if mood_of([question]).tone is Tone.ANGRY:
        signs |= Sign.UNHAPPY
    if reply.decision is Decision.HANDOFF:
        signs |= Sign.HANDED_OVER
    return signs or (Sign.SAMPLED if is_sampled(turn_id) else Sign(0))


def is_sampled(turn_id: str) -> bool:
    """Tell whether a turn without a sign is looked at all the same: always the same ones, chosen by their random id."""
    try:
        return int(turn_id[:8], 16) % _SAMPLED_OF == 0
    except ValueError:
        return False


class Place(NamedTuple):
    """Where an item stands in the queue; the next one is smaller."""

    risk: int
    queued_at: datetime
    turn_id: str


class ReviewItem(NamedTuple):
    """A turn that waits for a review, or has one."""

    record: TurnRecord
    conversation_id: str
    signs: Sign
    queued_at: datetime
    holder: str | None  # who looks at it right now
    verdict: Verdict | None
    reviewer: str | None
    decided_at: datetime | None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(int(self.signs), self.queued_at, self.record.turn_id)


class Held(NamedTuple):
    """What came of opening an item: it is yours, or `holder` has it."""

    item: ReviewItem
    is_yours: bool


class ReviewQueue(Protocol):
    """Turns that wait for a review, the greatest risk first and of the same risk the newest; nothing outside `scope` is found."""

    async def waiting(self, scope: Scope, limit: int, after: Place | None = None) -> tuple[ReviewItem, ...]:
        """Return the first items behind `after`."""
        ...

    async def count(self, scope: Scope, limit: int) -> int:
        """Return how many wait, counted up to `limit`."""
        ...

    async def since(self, scope: Scope, moment: datetime, limit: int) -> tuple[ReviewItem, ...]:
        """Return the newest items that were queued after `moment`, oldest first."""
        ...

    async def item(self, scope: Scope, turn_id: str) -> ReviewItem | None:
        """Return the review of a turn, None when it has none."""
        ...

    async def open(self, scope: Scope, turn_id: str, member: str, seconds: float = CLAIM_SECONDS) -> Held | None:
        """Lock an item for `member` by the database's clock, queueing the turn first if need be; None when there is no such turn."""
        ...

    async def open_next(
        self, scope: Scope, member: str, beside: Place | None = None, *, backwards: bool = False, seconds: float = CLAIM_SECONDS
    ) -> ReviewItem | None:
        """Lock the first item behind (or before) `beside` that nobody else has; None when there is none."""
        ...

    async def release(self, turn_id: str, member: str) -> None:
        """Unlock what `member` has opened."""
        ...

    async def decide(self, scope: Scope, turn_id: str, member: str, verdict: Verdict) -> bool:
        """Keep a verdict; False, and nothing is kept, when there is no such item or somebody else has it."""
        ...
