"""What is kept of one person, in SQL: read out, or blanked in one transaction: 1.2 s among a million messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, null, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Action
from core.privacy import ErasureReport, tombstone, user_document
from core.storage.correction_rows import blank_questions
from core.storage.database import Database
from core.storage.handoff_rows import Place, revise
from core.storage.handoff_tables import handoff_words, handoffs
from core.storage.staff_tables import corrections, feedback
from core.storage.tables import IS_NOTICE, MESSAGE_KEPT, TURN_KEPT, among, conversations, inbox, outbox, turns
from core.storage.turn_rows import fence_out

_WAITING = among(inbox.c.state, "new", "claimed")
_UNDELIVERED = among(outbox.c.state, "pending", "sending", "uncertain")
_SENT_BY_STAFF = 2  # the part of a turn that holds a decided draft


class SqlPrivacyDesk:
    """`PrivacyDesk` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def export(self, platform: str, workspace_id: str, actor_id: str) -> dict[str, Any]:
        """See `PrivacyDesk.export`."""
        one = _Person(platform, workspace_id, actor_id)
        parts = {"messages": one.messages(), "turns": one.turns(), "feedback": one.feedback(), "by_people": one.words()}
        async with self._database.read() as connection:
            lists = {name: await _documents(connection, query) for name, query in parts.items()}
        return {"user": user_document(platform, workspace_id, actor_id), **lists}

    async def erase(self, platform: str, workspace_id: str, actor_id: str) -> ErasureReport:
        """See `PrivacyDesk.erase`."""
        one, nobody = _Person(platform, workspace_id, actor_id), tombstone(platform, workspace_id, actor_id)
        async with self._database.write() as connection:
            # Under the locks of all their conversations no worker can finish an answer, and no message can join.
            await connection.execute(one.conversations().order_by(conversations.c.conversation_id).with_for_update())
            cancelled = await self._cancel(connection, one)
            dropped = await _change(connection, outbox, outbox.c.turn_id.in_(one.turn_ids()) & _UNDELIVERED, **_DROPPED)
            dropped += await _change(connection, outbox, one.told_by_people() & _UNDELIVERED, **_DROPPED)
            await self._blank_what_was_said(connection, one)
            await self._show_staff_anew(connection, one)
            corrected = await blank_questions(connection, corrections.c.turn_id.in_(one.turn_ids()))
            given = await _change(connection, feedback, one.gave(), actor_id=nobody, comment="")
            # Last those by which the others are found.
            answered = await _change(connection, turns, turns.c.turn_id.in_(one.turn_ids()), actor_id=nobody, **_TURN)
            wrote = await _change(connection, inbox, one.wrote(), actor_id=nobody, **_MESSAGE)
            await _change(connection, handoffs, one.waited(), customer_id=nobody)
        return ErasureReport(wrote, cancelled, answered, given, corrected, dropped)

    async def forget_before(self, moment: datetime, limit: int) -> int:
        """See `PrivacyDesk.forget_before`; what waits for an answer or is on its way is left alone, however old it is."""
        asked = text(TURN_KEPT), turns.c.asked_at < moment
        old_turns = select(turns.c.turn_id).where(*asked).limit(limit)
        old_messages = select(inbox.c.inbox_id).where(text(MESSAGE_KEPT), inbox.c.received_at < moment, ~_WAITING).limit(limit)
        async with self._database.write() as connection:
            turn_ids = (await connection.execute(old_turns)).scalars().all()
            inbox_ids = (await connection.execute(old_messages)).scalars().all()
            by_turn = outbox.c.turn_id.in_(turn_ids) & ~_UNDELIVERED
            await _change(connection, outbox, by_turn, text=null(), last_error=null())
            await _change(connection, feedback, feedback.c.turn_id.in_(turn_ids), comment="")
            await _change(connection, turns, turns.c.turn_id.in_(turn_ids), **_TURN)
            await _change(connection, inbox, inbox.c.inbox_id.in_(inbox_ids), **_MESSAGE)
            words = await _change(connection, outbox, outbox.c.outbox_id.in_(_words_before(moment, limit)), text="", last_error=null())
        return max(len(turn_ids), len(inbox_ids), words)

    async def _cancel(self, connection: AsyncConnection, one: _Person) -> int:
        """Take what waits from whoever is answering it; a conversation in which nothing waits any more is freed at its next claim."""
        waiting = (await connection.execute(select(inbox.c.conversation_id).where(one.wrote(), _WAITING))).scalars().all()
        for conversation_id in set(waiting):
            await fence_out(connection, conversation_id, await self._database.now(connection))
        return await _change(connection, inbox, one.wrote() & _WAITING, state="cancelled")

    async def _show_staff_anew(self, connection: AsyncConnection, one: _Person) -> None:
        """Take their words out of what stands before staff: packets and what was passed on."""
        told = among(outbox.c.action, Action.ALERT.value, Action.RELAY.value) & among(outbox.c.state, "sent")
        shown = outbox.c.conversation_id.in_(one.threads_of_staff()) & told
        for row in (await connection.execute(select(outbox).where(shown).order_by(outbox.c.outbox_id))).mappings().all():
            await revise(self._database, connection, Place(row["conversation_id"], row["platform"]), row["key"])

    async def _blank_what_was_said(self, connection: AsyncConnection, one: _Person) -> None:
        theirs = outbox.c.turn_id.in_(one.turn_ids())
        await _change(connection, outbox, theirs, text=null(), last_error=null())
        # Staff read in their thread what one of them wrote to this customer.
        here = outbox.c.conversation_id.in_(one.conversations()) | outbox.c.conversation_id.in_(one.threads_of_staff())
        await _change(connection, outbox, outbox.c.turn_id.is_(None) & here & ~_UNDELIVERED, text="", last_error=null())
        await _change(connection, feedback, feedback.c.turn_id.in_(one.turn_ids()), comment="")


# The hashes of texts go too: a short text can be found by trying.
_MESSAGE = {"actor_name": "", "text": "", "text_sha256": "", "last_error": null()}
_TURN: dict[str, Any] = {"question": "", "question_sha256": "", "text": "", "citations": [], "hits": []}
_DROPPED = {"state": "dropped", "lease": null(), "lease_until": null()}


class _Person:
    """Queries for all that belongs to one person; an id means somebody only within its platform and workspace."""

    def __init__(self, platform: str, workspace_id: str, actor_id: str) -> None:
        self._place = {"platform": platform, "workspace_id": workspace_id}
        self._actor_id = actor_id

    def wrote(self) -> ColumnElement[bool]:
        platform, workspace = self._in(inbox)
        return platform & workspace & (inbox.c.actor_id == self._actor_id)

    def waited(self) -> ColumnElement[bool]:
        platform, workspace = self._in(handoffs)
        return platform & workspace & (handoffs.c.customer_id == self._actor_id)

    def threads_of_staff(self) -> Select[Any]:
        return select(handoffs.c.staff_conversation_id).where(self.waited(), handoffs.c.staff_conversation_id.is_not(None))

    def told_by_people(self) -> ColumnElement[bool]:
        """What people of staff wrote to them, and where staff are shown it."""
        joined = select(handoff_words.c.key).join(handoffs, handoffs.c.handoff_id == handoff_words.c.handoff_id)
        shown = outbox.c.conversation_id.in_(self.threads_of_staff()) & among(outbox.c.action, Action.NOTE.value)
        return outbox.c.key.in_(joined.where(self.waited())) | shown

    def gave(self) -> ColumnElement[bool]:
        here = select(turns.c.turn_id).join(conversations).where(turns.c.turn_id == feedback.c.turn_id, *self._in(conversations))
        return (feedback.c.actor_id == self._actor_id) & here.exists()

    def turn_ids(self) -> Select[Any]:
        joined = select(turns.c.turn_id).join(conversations, conversations.c.conversation_id == turns.c.conversation_id)
        return joined.where(turns.c.actor_id == self._actor_id, *self._in(conversations))

    def conversations(self) -> Select[Any]:
        asked = conversations.c.conversation_id.in_(select(inbox.c.conversation_id).where(self.wrote()))
        answered = conversations.c.conversation_id.in_(select(turns.c.conversation_id).where(turns.c.actor_id == self._actor_id))
        return select(conversations.c.conversation_id).where(*self._in(conversations), asked | answered)

    def messages(self) -> Select[Any]:
        said = (inbox.c.message_id, inbox.c.channel_id, conversations.c.thread_id, inbox.c.actor_name, inbox.c.text, inbox.c.received_at)
        return select(*said).join(conversations).where(self.wrote()).order_by(inbox.c.inbox_id)

    def turns(self) -> Select[Any]:
        changed = outbox.c.text.label("text_by_staff")
        by_staff = (outbox.c.turn_id == turns.c.turn_id) & (outbox.c.part == _SENT_BY_STAFF)
        said = (
            *(turns.c[name] for name in ("turn_id", "question", "asked_at", "answered_at", "decision", "text")),
            changed,
            turns.c.citations,
        )
        joined = turns.join(conversations).outerjoin(outbox, by_staff)
        query = select(*said, conversations.c.channel_id, conversations.c.thread_id).select_from(joined)
        return query.where(turns.c.turn_id.in_(self.turn_ids())).order_by(turns.c.asked_at, turns.c.position)

    def feedback(self) -> Select[Any]:
        given = (feedback.c[name] for name in ("turn_id", "helpful", "reason", "comment", "given_at"))
        return select(*given).where(self.gave()).order_by(feedback.c.given_at)

    def words(self) -> Select[Any]:
        """What people of staff wrote to them."""
        joined = select(outbox.c.text, handoff_words.c.said_at).join(outbox, outbox.c.key == handoff_words.c.key)
        return joined.join(handoffs, handoffs.c.handoff_id == handoff_words.c.handoff_id).where(self.waited()).order_by("said_at")

    def _in(self, table: Table) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        platform, workspace = (table.c[name] == value for name, value in self._place.items())
        return platform, workspace


def _words_before(moment: datetime, limit: int) -> Select[Any]:
    """What people wrote in hand-offs, to customers and to one another; it belongs to no turn."""
    here = (outbox.c.conversation_id == handoffs.c.conversation_id) | (outbox.c.conversation_id == handoffs.c.staff_conversation_id)
    old = (text(f"outbox.{IS_NOTICE}"), outbox.c.sent_at < moment, outbox.c.text != "")
    spoken = among(outbox.c.action, Action.PERSON.value, Action.NOTE.value)
    return select(outbox.c.outbox_id).join(handoffs, here).where(*old, spoken, handoffs.c.opened_at < moment).limit(limit)


async def _documents(connection: AsyncConnection, query: Select[Any]) -> list[dict[str, Any]]:
    rows = (await connection.execute(query)).mappings()
    return [{name: value.isoformat() if name.endswith("_at") else value for name, value in row.items()} for row in rows]


async def _change(connection: AsyncConnection, table: Table, where: ColumnElement[bool], **values: Any) -> int:
    return (await connection.execute(update(table).where(where).values(**values))).rowcount
