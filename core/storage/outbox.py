"""The outbox in SQL: replies in order within their conversation, each leased by one courier at a time."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Action, Address, Decision, Owner, Reason, Reply, notice
from core.drafts import STAFF
from core.errors import LeaseLostError
from core.ports import Delivery
from core.storage.database import Database
from core.storage.handoff_rows import Place, into_thread, queue
from core.storage.handoff_tables import handoff_words, handoffs
from core.storage.staff_tables import previews
from core.storage.tables import IS_NOTICE, UNDELIVERED, among, conversations, inbox, outbox, turns
from core.storage.turn_rows import conversation_at, reply_of

_LATE = "late-"  # begins the key of a notice that an answer takes longer
_AT_ONCE = 200  # notices of one look; after an outage the next look, seconds later, goes on
_LOST = "The customer did not get your last message: their platform does not take it."
_UNHEARD = "A customer in a hand-off wrote again, and it could not be shown here: their thread is gone. Read and answer it in the console."
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
            place = select(*_PLACE).where(conversations.c.conversation_id == row["conversation_id"])
            address = Address(row["platform"], *(await connection.execute(place)).one())
            said = await _revised(connection, row) if row["action"] == Action.REVISION.value else row
            reply, asked_at = await _content(connection, said)
        # Found in `sending`, its courier died or lost its lease: nobody knows whether the platform got it.
        uncertain = row["state"] != "pending"
        revises = (said["reference"] or "") if said is not row else None
        named = (row["outbox_id"], lease, address, said["turn_id"] or "", reply, row["key"])
        return Delivery(*named, row["attempts"] + 1, uncertain, asked_at, Action(said["action"]), revises)

    async def sent(self, delivery: Delivery, reference: str) -> None:
        """See `Outbox.sent`."""
        try:
            await self._close(delivery, state="sent", reference=reference)
        except LeaseLostError:
            if not await self._is_sent(delivery):  # a receipt was quicker
                raise

    async def received(self, platform: str, key: str, reference: str) -> bool:
        """See `Outbox.received`."""
        async with self._database.write() as connection:
            where = (outbox.c.key == key, outbox.c.platform == platform, among(outbox.c.state, *UNDELIVERED))
            values = {"state": "sent", "reference": reference, "sent_at": await self._database.now(connection)}
            changed = await connection.execute(update(outbox).where(*where).values(lease=None, lease_until=None, **values))
            if changed.rowcount == 1:
                await _end_preview(connection, outbox.c.key == key)
            return changed.rowcount == 1

    async def bury(self, delivery: Delivery, error: str) -> None:
        """See `Outbox.bury`."""
        await self._close(delivery, state="dead", last_error=error)
        if delivery.action is Action.PERSON:
            await self._tell_author(delivery)
        elif delivery.action is Action.RELAY and delivery.revises is None:
            await self._tell_channel(delivery.address)

    async def retry(self, delivery: Delivery, error: str, delay: float, *, uncertain: bool) -> None:
        """See `Outbox.retry`."""
        async with self._database.write() as connection:
            due = await self._database.now(connection) + timedelta(seconds=delay)
            state = "uncertain" if uncertain else "pending"
            await _under_lease(connection, delivery, state=state, due_at=due, lease=None, lease_until=None, last_error=error)

    async def tell_late(self, text: str, seconds: float) -> int:
        """See `Outbox.tell_late`."""
        async with self._database.read() as connection:  # locks nothing: on almost every look nobody waits
            before = await self._database.now(connection) - timedelta(seconds=seconds)
            if (await connection.execute(_late(before))).first() is None:
                return 0
        async with self._database.write() as connection:
            # Under the lock of its conversation no answer can be finished, so the notice comes before it or not at all.
            locking = _late(before).with_for_update(of=conversations, skip_locked=True)
            late = (await connection.execute(locking)).scalars().all()
            now = await self._database.now(connection)
            told = [await self._tell(connection, row, text, now) for row in (await connection.execute(_oldest_of(late, before))).all()]
        return sum(told)

    async def _tell_author(self, delivery: Delivery) -> None:
        """Tell staff that the customer did not get what one of them wrote."""
        theirs = select(handoffs).join(handoff_words, handoff_words.c.handoff_id == handoffs.c.handoff_id)
        key = delivery.key if delivery.revises is None else ""
        async with self._database.write() as connection:
            handoff = (await connection.execute(theirs.where(handoff_words.c.key == key))).mappings().first()
            if handoff is not None and handoff["staff_conversation_id"]:
                await queue(self._database, connection, into_thread(handoff), Action.NOTE, f"lost-{key[:35]}", words=_LOST)

    async def _tell_channel(self, thread: Address) -> None:
        """Tell the channel of staff, once for each hand-off, that its thread does not show what its customer writes."""
        channel = Address(thread.platform, "", STAFF, STAFF)
        async with self._database.write() as connection:
            place = Place(await conversation_at(self._database, connection, channel), thread.platform)
            await queue(self._database, connection, place, Action.NEWS, f"unheard-{thread.thread_id}", words=_UNHEARD)

    async def _tell(self, connection: AsyncConnection, row: Any, text: str, now: datetime) -> int:
        keys = {"conversation_id": row.conversation_id, "platform": row.platform, "part": 0, "key": f"{_LATE}{row.inbox_id}"}
        values = keys | {"text": text, "action": Action.NOTICE.value, "state": "pending", "attempts": 0, "due_at": now}
        insert = self._database.insert(outbox).values(**values)
        return (await connection.execute(insert.on_conflict_do_nothing())).rowcount

    async def dead(self) -> int:
        """See `Outbox.dead`."""
        async with self._database.read() as connection:
            query = select(func.count()).select_from(outbox).where(outbox.c.state == "dead")
            return (await connection.execute(query)).scalar_one()

    async def _is_sent(self, delivery: Delivery) -> bool:
        async with self._database.read() as connection:
            state = select(outbox.c.state).where(outbox.c.outbox_id == delivery.delivery_id)
            return (await connection.execute(state)).scalar() == "sent"

    async def _something_is_due(self, platforms: Collection[str]) -> bool:
        """A look that locks nothing: idle couriers must not queue for SQLite's one write lock."""
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            return (await connection.execute(_due(platforms, now))).first() is not None

    async def _close(self, delivery: Delivery, **values: Any) -> None:
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            await _under_lease(connection, delivery, lease=None, lease_until=None, sent_at=now, **values)
            if values["state"] == "sent":
                await _end_preview(connection, outbox.c.outbox_id == delivery.delivery_id)


async def _revised(connection: AsyncConnection, row: RowMapping) -> RowMapping:
    """Return the row that a revision is about; it never goes away, only its text does."""
    return (await connection.execute(select(outbox).where(outbox.c.key == row["text"]))).mappings().one()


async def _content(connection: AsyncConnection, row: RowMapping) -> tuple[Reply, datetime]:
    """What to deliver, and since when it is waited for."""
    if row["turn_id"] is None:
        return notice(Decision.CLARIFY, _reason(row), row["text"] or ""), await _said_at(connection, row)
    turn = (await connection.execute(select(turns).where(turns.c.turn_id == row["turn_id"]))).mappings().one()
    reply = reply_of(turn)
    return replace(reply, text=row["text"]) if row["text"] else reply, turn["asked_at"]


async def _said_at(connection: AsyncConnection, row: RowMapping) -> datetime:
    """Since when to look for what belongs to no turn: each try puts `due_at` off, beyond what an earlier one may have posted."""
    said = select(handoff_words.c.said_at).where(handoff_words.c.key == row["key"])
    said_at: datetime = (await connection.execute(said)).scalar() or row["due_at"]
    return said_at


def _reason(row: RowMapping) -> Reason:
    if row["action"] == Action.PERSON.value:
        return Reason.BY_PERSON
    return Reason.DELAYED if row["key"].startswith(_LATE) else Reason.NOTICE


def _waits_untold(before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Conditions on a message: it waits since `before`, and no notice came after it."""
    told = outbox.alias("told")
    after = (text(f"told.{IS_NOTICE}"), told.c.conversation_id == inbox.c.conversation_id, told.c.due_at >= inbox.c.accepted_at)
    return (
        among(inbox.c.state, "new", "claimed"),
        inbox.c.for_bot.is_(True),  # not `for_bot` alone: SQLite would read the conversation by the index of its limit, all of it
        inbox.c.accepted_at <= before,
        ~select(told.c.outbox_id).where(*after).exists(),
    )


def _late(before: datetime) -> Select[Any]:
    """Conversations to tell, at most as many as one transaction should hold."""
    waits = select(inbox.c.inbox_id).where(inbox.c.conversation_id == conversations.c.conversation_id, *_waits_untold(before)).exists()
    bots = conversations.c.owner == Owner.BOT.value
    return select(conversations.c.conversation_id).where(conversations.c.due_at.is_not(None), bots, waits).limit(_AT_ONCE)


def _oldest_of(conversation_ids: Sequence[str], before: datetime) -> Select[Any]:
    """Read again under the lock: a message may have been answered between the look and the lock."""
    columns = (inbox.c.conversation_id, inbox.c.platform)
    mine = inbox.c.conversation_id.in_(conversation_ids)
    return select(*columns, func.min(inbox.c.inbox_id).label("inbox_id")).where(mine, *_waits_untold(before)).group_by(*columns)


def _due(platforms: Collection[str], now: datetime) -> Select[Any]:
    """The reply that is due longest, unless an earlier one of its conversation is still on its way."""
    earlier = outbox.alias()
    blocked = (
        select(earlier.c.outbox_id)
        .where(
            earlier.c.conversation_id == outbox.c.conversation_id,
            earlier.c.outbox_id < outbox.c.outbox_id,
            among(earlier.c.state, *UNDELIVERED),
        )
        .exists()
    )
    free = outbox.c.lease_until.is_(None) | (outbox.c.lease_until <= now)
    return (
        select(outbox)
        .where(among(outbox.c.state, *UNDELIVERED), outbox.c.due_at <= now, free, outbox.c.platform.in_(platforms), ~blocked)
        .order_by(outbox.c.due_at)
        .limit(1)
    )


async def _end_preview(connection: AsyncConnection, which: ColumnElement[bool]) -> None:
    """Forget what was shown before this reply, in the transaction that records it: the next reply must not take its place."""
    joined = outbox.join(conversations, outbox.c.conversation_id == conversations.c.conversation_id)
    columns = [conversations.c[column.name] for column in previews.primary_key]
    place = (await connection.execute(select(*columns).select_from(joined).where(which, outbox.c.action == Action.REPLY.value))).first()
    if place is not None:
        await connection.execute(delete(previews).where(*(previews.c[name] == value for name, value in place._mapping.items())))


async def _under_lease(connection: Any, delivery: Delivery, **values: Any) -> None:
    where = (outbox.c.outbox_id == delivery.delivery_id, outbox.c.lease == delivery.lease)
    if (await connection.execute(update(outbox).where(*where).values(**values))).rowcount != 1:
        raise LeaseLostError(f"reply {delivery.key} was taken over by another courier")
