"""How people go through what the bot said: one item at a time, each kept from others while somebody looks at it."""

from __future__ import annotations

from datetime import datetime

from core.audit import AuditLog
from core.members import Member
from core.reviews import Held, Place, ReviewItem, ReviewQueue, Verdict

COUNTED = 1000  # a longer queue is only told to be longer


class ReviewDesk:
    """The queue for members: within their scope, and audited."""

    def __init__(self, queue: ReviewQueue, audit: AuditLog) -> None:
        self._queue = queue
        self._audit = audit

    async def waiting(self, member: Member, limit: int, after: Place | None = None) -> tuple[ReviewItem, ...]:
        """Return what waits for a review, the greatest risk first."""
        return await self._queue.waiting(member.scope, limit, after)

    async def count(self, member: Member) -> int:
        """Return how many wait, counted up to a thousand."""
        return await self._queue.count(member.scope, COUNTED)

    async def since(self, member: Member, moment: datetime, limit: int) -> tuple[ReviewItem, ...]:
        """Return the newest that were queued after `moment`, oldest first."""
        return await self._queue.since(member.scope, moment, limit)

    async def open(self, member: Member, turn_id: str) -> Held | None:
        """Take an item; None when there is no such turn for this member."""
        return await self._queue.open(member.scope, turn_id, member.member_id)

    async def item(self, member: Member, turn_id: str) -> ReviewItem | None:
        """Return the review of a turn, None when there is none for this member."""
        return await self._queue.item(member.scope, turn_id)

    async def leave(self, member: Member, turn_id: str) -> bool:
        """Give an item back that nothing was said of; False when there is none for this member."""
        await self._queue.release(turn_id, member.member_id)
        return await self.item(member, turn_id) is not None

    async def beside(self, member: Member, turn_id: str | None, *, backwards: bool = False) -> ReviewItem | None:
        """Take the item behind or before another, which is given back; None for `turn_id`: the first of all."""
        here = await self._queue.item(member.scope, turn_id) if turn_id else None
        if here is not None:
            await self._queue.release(here.record.turn_id, member.member_id)
        return await self._queue.open_next(member.scope, member.member_id, here.place if here else None, backwards=backwards)

    async def decide(self, member: Member, turn_id: str, verdict: Verdict) -> bool:
        """Keep what a member says of a turn; False when somebody else looks at it, or it is not there for them."""
        kept = await self._queue.decide(member.scope, turn_id, member.member_id, verdict)
        await self._audit.record(member.actor, "review.decide", f"turn:{turn_id}", "done" if kept else "refused", verdict=verdict.value)
        return kept
