"""The inbox in SQL: accepted once, claimed by conversation, finished under a fenced lease.

The lease is on the conversation, not on the message: whoever holds it answers everything that waits there, so two workers never
write in one conversation, and a late message cannot overtake a running turn. Times are the database's own.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import RowMapping, Select, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Action, Address, Decision, Deleted, Edited, InboundMessage, Reason, Reply, notice
from core.errors import LeaseLostError
from core.handoff import ELSEWHERE, why_of
from core.mood import mood_of
from core.ports import Backlog, Claim
from core.storage.database import Database
from core.storage.handoff_revisions import amend_anyway, erase_anyway
from core.storage.handoff_rows import Opening, Place, open_handoff, open_one, queue, relay, take, with_person
from core.storage.message_rows import author_of, kept, message_of, row_of
from core.storage.tables import IS_NOTICE, among, conversations, inbox, outbox, turns
from core.storage.turn_rows import add_turn, conversation_at, forget_question, reply_of

_WAITING = among(inbox.c.state, "new", "claimed")
_UNDELIVERED = among(outbox.c.state, "pending", "sending", "uncertain")
JOIN_SECONDS = 10  # a message that joins what its author wrote before
MAX_TOGETHER = 20  # messages of one turn; a flood beyond it becomes the next turn


class SqlInbox:
    """`Inbox` on a `Database`."""

    def __init__(self, database: Database, staff: Mapping[str, str] = MappingProxyType({})) -> None:
        """`staff`: by the platform of a customer who waits for a person, that on which staff get a thread about it."""
        self._database = database
        self._staff = staff

    async def accept(self, message: InboundMessage, settle: float = 0.0) -> bool:
        """See `Inbox.accept`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            joined = await _joined(connection, message, now) if message.joins else None
            conversation_id = joined or await conversation_at(self._database, connection, message.address)
            insert = self._database.insert(inbox).values(conversation_id=conversation_id, accepted_at=now, **row_of(message))
            if (await connection.execute(insert.on_conflict_do_nothing())).rowcount == 0:
                return False
            if message.by_staff:
                await take(self._database, connection, conversation_id, author_of(message))
            await _wake(connection, conversation_id, now + timedelta(seconds=settle))
        return True

    async def amend(self, edited: Edited) -> bool:
        """See `Inbox.amend`."""
        async with self._database.write() as connection:
            row = await self._locked(connection, edited.address, edited.message_id)
            if row is None or row["state"] not in ("new", "claimed"):
                return await amend_anyway(self._database, connection, edited, row)
            words, digest = kept(edited.text)
            await _set(connection, [row["inbox_id"]], state="new", attempts=0, text=words, text_sha256=digest)
            await self._fence_out(connection, row)
        return True

    async def erase(self, deleted: Deleted) -> bool:
        """See `Inbox.erase`."""
        async with self._database.write() as connection:
            row = await self._locked(connection, deleted.address, deleted.message_id)
            if row is None or row["turn_id"]:
                await erase_anyway(self._database, connection, deleted, row)
            if row is None:
                return False
            waits = row["state"] in ("new", "claimed")
            # Their hashes go too: a short text can be found by trying.
            await _set(connection, [row["inbox_id"]], text="", text_sha256="", state="cancelled" if waits else row["state"])
            await forget_question(connection, row["turn_id"])
            if waits:
                await self._fence_out(connection, row)
        return True

    async def claim(self, seconds: float) -> Claim | None:
        """See `Inbox.claim`."""
        if not await self._something_is_due():
            return None
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            conversation_id = (await connection.execute(_due(now).with_for_update(of=conversations, skip_locked=True))).scalar()
            if conversation_id is None:
                return None
            rows = _together((await connection.execute(_waiting_in(conversation_id))).mappings().all())
            if not rows:  # every message was taken back
                await _free(connection, conversation_id)
                return None
            lease = uuid.uuid4().hex
            leased = {"lease": lease, "lease_until": now + timedelta(seconds=seconds)}
            await connection.execute(update(conversations).where(conversations.c.conversation_id == conversation_id).values(**leased))
            inbox_ids = tuple(row["inbox_id"] for row in rows)
            await _set(connection, inbox_ids, state="claimed", attempts=inbox.c.attempts + 1)
            attempts = max(row["attempts"] for row in rows) + 1
            taken_over = any(row["state"] == "claimed" for row in rows)
            return Claim(conversation_id, lease, tuple(map(message_of, rows)), inbox_ids, attempts, taken_over)

    async def renew(self, claim: Claim, seconds: float) -> None:
        """See `Inbox.renew`."""
        async with self._database.write() as connection:
            until = await self._database.now(connection) + timedelta(seconds=seconds)
            await _under_lease(connection, claim, lease_until=until)

    async def finish(self, claim: Claim, reply: Reply) -> str:
        """See `Inbox.finish`."""
        return await self._close(claim, reply, state="done", last_error=None)

    async def bury(self, claim: Claim, error: str, reply: Reply) -> str:
        """See `Inbox.bury`."""
        return await self._close(claim, reply, state="dead", last_error=error)

    async def retry(self, claim: Claim, error: str, delay: float) -> None:
        """See `Inbox.retry`."""
        async with self._database.write() as connection:
            due = await self._database.now(connection) + timedelta(seconds=delay)
            await _under_lease(connection, claim, lease=None, lease_until=None, due_at=due)
            await _set(connection, claim.inbox_ids, state="new", last_error=error)

    async def release(self, claim: Claim) -> None:
        """See `Inbox.release`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            await _under_lease(connection, claim, lease=None, lease_until=None, due_at=now)
            await _set(connection, claim.inbox_ids, state="new", attempts=inbox.c.attempts - 1)

    async def answer_to(self, message: InboundMessage) -> Reply | None:
        """See `Inbox.answer_to`."""
        joined = inbox.outerjoin(turns, inbox.c.turn_id == turns.c.turn_id)
        query = select(turns, inbox.c.state).select_from(joined).where(*_is(message.address, message.message_id))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is not None and row["state"] == "cancelled":
            return notice(Decision.SILENT, Reason.TAKEN_BACK)
        return reply_of(row) if row is not None and row["decision"] else None

    async def backlog(self) -> Backlog:
        """See `Inbox.backlog`."""
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            query = select(func.count(), func.min(inbox.c.received_at)).where(_WAITING)
            waiting, oldest = (await connection.execute(query)).one()
            dead = (await connection.execute(select(func.count()).select_from(inbox).where(inbox.c.state == "dead"))).scalar_one()
            undelivered = (await connection.execute(select(func.count()).select_from(outbox).where(_UNDELIVERED))).scalar_one()
        return Backlog(waiting, (now - oldest).total_seconds() if oldest else 0.0, dead, undelivered)

    async def _something_is_due(self) -> bool:
        """A look that locks nothing: idle workers must not queue for SQLite's one write lock."""
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            return (await connection.execute(_due(now))).first() is not None

    async def _close(self, claim: Claim, reply: Reply, **values: Any) -> str:
        async with self._database.write() as connection:
            await _under_lease(connection, claim, lease=None, lease_until=None)
            turn_id = await add_turn(connection, claim.conversation_id, claim.message, reply, claim.inbox_ids[-1])
            await _set(connection, claim.inbox_ids, turn_id=turn_id, **values)
            now = await self._database.now(connection)
            await _drop_notices(connection, claim.conversation_id)
            await self._send(connection, claim, turn_id, reply, now)
            await _free(connection, claim.conversation_id, now)
        return turn_id

    async def _send(self, connection: AsyncConnection, claim: Claim, turn_id: str, reply: Reply, now: datetime) -> None:
        """Queue what is to be delivered: the reply, and for staff what the customer wrote while they wait for a person."""
        is_draft = claim.message.draft
        if reply.decision is not Decision.SILENT:
            await connection.execute(outbox.insert().values(**_parcel(claim, turn_id, now, Action.DRAFT if is_draft else Action.REPLY)))
        handoff = await open_one(connection, claim.conversation_id)
        if reply.decision is Decision.HANDOFF and not is_draft:
            opened = await self._hand_over(connection, claim, turn_id, reply)
            handoff = opened if opened["turn_id"] != turn_id else None  # what it was opened for stands in its packet
        if handoff is not None and claim.message.for_bot:
            await relay(self._database, connection, handoff, turn_id)

    async def _hand_over(self, connection: AsyncConnection, claim: Claim, turn_id: str, reply: Reply) -> RowMapping:
        message = claim.message
        customer = (message.address.platform, message.address.workspace_id, message.actor.actor_id)
        opening = Opening(claim.conversation_id, turn_id, customer, why_of(reply.reason, mood_of([message.text])))
        handoff = await open_handoff(self._database, connection, opening, self._staff.get(message.address.platform))
        if handoff["conversation_id"] != claim.conversation_id:  # one customer waits in one conversation only
            here = Place(claim.conversation_id, message.address.platform)
            await queue(self._database, connection, here, Action.NOTICE, f"else-{turn_id}", words=ELSEWHERE)
        return handoff

    async def _locked(self, connection: AsyncConnection, address: Address, message_id: str) -> RowMapping | None:
        """Return the row of a message under the lock of its conversation. Of one that was never stored none is made: people edit much."""
        here = select(inbox.c.conversation_id).where(*_is(address, message_id)).scalar_subquery()
        await connection.execute(select(conversations).where(conversations.c.conversation_id == here).with_for_update())
        return (await connection.execute(select(inbox).where(*_is(address, message_id)))).mappings().first()

    async def _fence_out(self, connection: AsyncConnection, row: RowMapping) -> None:
        """Whoever is writing an answer to an old text loses the lease; what waits is due now."""
        where = conversations.c.conversation_id == row["conversation_id"]
        if row["state"] == "claimed":
            await connection.execute(update(conversations).where(where).values(lease=None, lease_until=None))
            # What was claimed together with it goes back too, and a customer who edits must not use up its attempts.
            beside = (inbox.c.conversation_id == row["conversation_id"], inbox.c.state == "claimed")
            await connection.execute(update(inbox).where(*beside).values(state="new", attempts=inbox.c.attempts - 1))
        await _free(connection, row["conversation_id"], await self._database.now(connection), keep_lease=True)


def _is(address: Address, message_id: str) -> tuple[Any, ...]:
    return (
        inbox.c.platform == address.platform,
        inbox.c.workspace_id == address.workspace_id,
        inbox.c.channel_id == address.channel_id,
        inbox.c.message_id == message_id,
    )


def _due(now: datetime) -> Select[Any]:
    """The conversation to claim: from the workspace that is served least right now, then the one that waits longest."""
    other = conversations.alias()
    served = select(func.count()).where(other.c.workspace_id == conversations.c.workspace_id, other.c.lease_until > now).scalar_subquery()
    free = conversations.c.lease_until.is_(None) | (conversations.c.lease_until <= now)
    return (
        select(conversations.c.conversation_id)
        .where(conversations.c.due_at.is_not(None), conversations.c.due_at <= now, free)
        .order_by(served, conversations.c.due_at)
        .limit(1)
    )


def _waiting_in(conversation_id: str) -> Select[Any]:
    ordered = (inbox.c.order_key, inbox.c.inbox_id)
    return select(inbox, *_ADDRESS).join(conversations).where(inbox.c.conversation_id == conversation_id, _WAITING).order_by(*ordered)


_ADDRESS = (conversations.c.thread_id,)


def _together(rows: Any) -> list[RowMapping]:
    """The first messages that have one author and one audience: people who talk in between keep their place."""
    first = list(rows[:1])
    for row in rows[1:MAX_TOGETHER]:
        if any(row[name] != first[0][name] for name in ("actor_id", "for_bot", "overheard", "draft")):
            break
        first.append(row)
    return first


async def _joined(connection: AsyncConnection, message: InboundMessage, now: datetime) -> str | None:
    """Return the conversation that its author has with a person in this channel, or began moments ago if it still waits; and lock it."""
    here = (inbox.c.platform == message.address.platform, inbox.c.channel_id == message.address.channel_id, inbox.c.state == "new")
    recent = (inbox.c.workspace_id == message.address.workspace_id, inbox.c.actor_id == message.actor.actor_id, inbox.c.for_bot)
    since = inbox.c.accepted_at > now - timedelta(seconds=JOIN_SECONDS)
    waits = select(inbox.c.conversation_id).where(*recent, since, *here).order_by(inbox.c.inbox_id.desc()).limit(1).scalar_subquery()
    mine = await with_person(connection, message) or waits
    found = select(conversations.c.conversation_id).where(conversations.c.conversation_id == mine).with_for_update()
    return (await connection.execute(found)).scalar()


async def _wake(connection: AsyncConnection, conversation_id: str, due: datetime) -> None:
    """Make the conversation due at `due`, or leave it due earlier."""
    where = conversations.c.conversation_id == conversation_id
    later = conversations.c.due_at.is_(None) | (conversations.c.due_at > due)
    await connection.execute(update(conversations).where(where, later).values(due_at=due))


async def _free(connection: AsyncConnection, conversation_id: str, now: datetime | None = None, *, keep_lease: bool = False) -> None:
    """Due now when messages wait, else not due at all."""
    waits = select(func.count()).where(inbox.c.conversation_id == conversation_id, _WAITING)
    due = now if now is not None and (await connection.execute(waits)).scalar_one() else None
    values: dict[str, Any] = {"due_at": due} | ({} if keep_lease else {"lease": None, "lease_until": None})
    await connection.execute(update(conversations).where(conversations.c.conversation_id == conversation_id).values(**values))


async def _under_lease(connection: AsyncConnection, claim: Claim, **values: Any) -> None:
    where = (conversations.c.conversation_id == claim.conversation_id, conversations.c.lease == claim.lease)
    if (await connection.execute(update(conversations).where(*where).values(**values))).rowcount != 1:
        raise LeaseLostError(f"conversation {claim.conversation_id} was taken over; what was written for it is thrown away")


async def _set(connection: AsyncConnection, inbox_ids: Any, **values: Any) -> None:
    await connection.execute(update(inbox).where(inbox.c.inbox_id.in_(inbox_ids)).values(**values))


async def _drop_notices(connection: AsyncConnection, conversation_id: str) -> None:
    """That an answer takes longer is not said any more when it is there, and nobody else in the conversation waits."""
    mine = (text(IS_NOTICE), outbox.c.conversation_id == conversation_id, outbox.c.state == "pending", outbox.c.key.like("late-%"))
    others = select(inbox.c.inbox_id).where(inbox.c.conversation_id == conversation_id, _WAITING)
    await connection.execute(update(outbox).where(*mine, ~others.exists()).values(state="dropped"))


def _parcel(claim: Claim, turn_id: str, now: datetime, action: Action) -> dict[str, Any]:
    keys = {"turn_id": turn_id, "part": 0, "key": f"{turn_id}-0", "conversation_id": claim.conversation_id, "action": action.value}
    return keys | {"platform": claim.messages[-1].address.platform, "state": "pending", "attempts": 0, "due_at": now}
