"""The outbox in SQL: replies in order within their conversation, each leased by one courier at a time."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select, update

from core.domain import Address
from core.errors import LeaseLostError
from core.ports import Delivery
from core.storage.database import Database
from core.storage.tables import conversations, outbox, turns
from core.storage.turn_rows import reply_of

_UNDELIVERED = ("pending", "sending", "uncertain")
_PLACE = tuple(conversations.c[name] for name in ("workspace_id", "channel_id", "thread_id"))


class SqlOutbox:
    """`Outbox` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, platforms: Collection[str], seconds: float) -> Delivery | None:
        """See `Outbox.claim`."""
        if not await self._something_is_due(platforms):
            return None
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            locking = _due(platforms, now).with_for_update(of=outbox, skip_locked=True)
            row = (await connection.execute(locking)).mappings().first()
            if row is None:
                return None
            lease = uuid.uuid4().hex
            leased = {"state": "sending", "attempts": row["attempts"] + 1, "lease": lease, "lease_until": now + timedelta(seconds=seconds)}
            await connection.execute(update(outbox).where(outbox.c.outbox_id == row["outbox_id"]).values(**leased))
            content = select(turns, *_PLACE).join(conversations).where(turns.c.turn_id == row["turn_id"])
            turn = (await connection.execute(content)).mappings().one()
        address = Address(row["platform"], turn["workspace_id"], turn["channel_id"], turn["thread_id"])
        # Found in `sending`, its courier died or lost its lease: nobody knows whether the platform got it.
        uncertain = row["state"] != "pending"
        attempts = row["attempts"] + 1
        return Delivery(row["outbox_id"], lease, address, row["turn_id"], reply_of(turn), row["key"], attempts, uncertain, turn["asked_at"])

    async def sent(self, delivery: Delivery, reference: str) -> None:
        """See `Outbox.sent`."""
        await self._close(delivery, state="sent", reference=reference)

    async def bury(self, delivery: Delivery, error: str) -> None:
        """See `Outbox.bury`."""
        await self._close(delivery, state="dead", last_error=error)

    async def retry(self, delivery: Delivery, error: str, delay: float, *, uncertain: bool) -> None:
        """See `Outbox.retry`."""
        async with self._database.write() as connection:
            due = await self._database.now(connection) + timedelta(seconds=delay)
            state = "uncertain" if uncertain else "pending"
            await _under_lease(connection, delivery, state=state, due_at=due, lease=None, lease_until=None, last_error=error)

    async def _something_is_due(self, platforms: Collection[str]) -> bool:
        """A look that locks nothing: idle couriers must not queue for SQLite's one write lock."""
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            return (await connection.execute(_due(platforms, now))).first() is not None

    async def _close(self, delivery: Delivery, **values: Any) -> None:
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            await _under_lease(connection, delivery, lease=None, lease_until=None, sent_at=now, **values)


def _due(platforms: Collection[str], now: datetime) -> Select[Any]:
    """The reply that is due longest, unless an earlier one of its conversation is still on its way."""
    earlier = outbox.alias()
    blocked = (
        select(earlier.c.outbox_id)
        .where(
            earlier.c.conversation_id == outbox.c.conversation_id,
            earlier.c.outbox_id < outbox.c.outbox_id,
            earlier.c.state.in_(_UNDELIVERED),
        )
        .exists()
    )
    free = outbox.c.lease_until.is_(None) | (outbox.c.lease_until <= now)
    return (
        select(outbox)
        .where(outbox.c.state.in_(_UNDELIVERED), outbox.c.due_at <= now, free, outbox.c.platform.in_(platforms), ~blocked)
        .order_by(outbox.c.due_at)
        .limit(1)
    )


async def _under_lease(connection: Any, delivery: Delivery, **values: Any) -> None:
    where = (outbox.c.outbox_id == delivery.delivery_id, outbox.c.lease == delivery.lease)
    if (await connection.execute(update(outbox).where(*where).values(**values))).rowcount != 1:
        raise LeaseLostError(f"reply {delivery.key} was taken over by another courier")
