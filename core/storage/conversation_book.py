"""Conversations as staff read them, in SQL: a few queries for a page of turns, however long the conversation is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import RowMapping, Table, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.corrections import Cause
from core.domain import Address, Decision, Owner
from core.feedback import Feedback, FeedbackReason
from core.members import Scope
from core.reading import Conversation, PastCorrection, ReadTurn
from core.storage.asides import asides
from core.storage.database import Database
from core.storage.review_tables import reviews
from core.storage.reviews import item_of
from core.storage.scopes import within
from core.storage.staff_tables import corrections, feedback
from core.storage.tables import conversations, inbox, outbox, turns
from core.storage.turn_book import PLACE, record_of
from core.text import clean

_SENT_BY_STAFF = 2  # the part of a turn that holds a decided draft
_LATER = 5  # turns shown behind the one that was asked for


class SqlConversationBook:
    """`ConversationBook` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def conversation(self, scope: Scope, conversation_id: str, limit: int, last: int | None = None) -> Conversation | None:
        """See `ConversationBook.conversation`."""
        this = select(conversations).where(conversations.c.conversation_id == clean(conversation_id), within(scope, conversations))
        async with self._database.read() as connection:
            head = (await connection.execute(this)).mappings().first()
            if head is None:
                return None
            rows, earlier = await _window(connection, head["conversation_id"], limit, last)
            later = last is not None and await _is_more(connection, head["conversation_id"], rows[-1]["position"] if rows else last)
            read = await _read(connection, rows, await self._database.now(connection))
            since, until = rows[0]["asked_at"] if earlier else None, rows[-1]["asked_at"] if later and rows else None
            said = await asides(connection, head["conversation_id"], since, until)
        address = Address(*(head[column.name] for column in PLACE))
        return Conversation(head["conversation_id"], address, head["started_at"], Owner(head["owner"]), read, earlier, later, said)

    async def position(self, scope: Scope, turn_id: str) -> tuple[str, int] | None:
        """See `ConversationBook.position`."""
        query = select(turns.c.conversation_id, turns.c.position).join(conversations).where(turns.c.turn_id == clean(turn_id))
        async with self._database.read() as connection:
            row = (await connection.execute(query.where(within(scope, conversations)))).first()
        return (row.conversation_id, row.position) if row else None


async def _window(connection: AsyncConnection, conversation_id: str, limit: int, last: int | None) -> tuple[list[RowMapping], bool]:
    """The turns up to `last` and a few behind it, oldest first, and whether there are earlier ones."""
    on = and_(outbox.c.turn_id == turns.c.turn_id, outbox.c.part == _SENT_BY_STAFF)
    joined = turns.join(conversations).outerjoin(outbox, on).outerjoin(inbox, inbox.c.inbox_id == turns.c.inbox_id)
    query = select(*turns.c, *PLACE, outbox.c.text.label("text_by_staff"), inbox.c.actor_name).select_from(joined)
    query = query.where(turns.c.conversation_id == conversation_id, turns.c.decision != Decision.SILENT.value)
    upto = query if last is None else query.where(turns.c.position <= last)
    rows = (await connection.execute(upto.order_by(turns.c.position.desc()).limit(limit + 1))).mappings().all()
    shown = list(reversed(rows[:limit]))
    if last is not None:
        behind = query.where(turns.c.position > last).order_by(turns.c.position).limit(_LATER)
        shown += (await connection.execute(behind)).mappings().all()
    return shown, len(rows) > limit


async def _is_more(connection: AsyncConnection, conversation_id: str, position: int) -> bool:
    said = (turns.c.conversation_id == conversation_id, turns.c.decision != Decision.SILENT.value, turns.c.position > position)
    return (await connection.execute(select(turns.c.turn_id).where(*said).limit(1))).first() is not None


async def _read(connection: AsyncConnection, rows: list[RowMapping], now: Any) -> tuple[ReadTurn, ...]:
    turn_ids = [row["turn_id"] for row in rows]
    given = await _by_turn(connection, feedback, turn_ids, feedback.c.given_at, feedback.c.actor_id)
    proposed = await _by_turn(connection, corrections, turn_ids, corrections.c.proposed_at)
    reviewed = await _by_turn(connection, reviews, turn_ids, reviews.c.turn_id)
    return tuple(
        ReadTurn(
            record=record_of(row),
            position=row["position"],
            author=row["actor_name"] or row["actor_id"],
            text_by_staff=row["text_by_staff"],
            feedback=tuple(map(_feedback, given[row["turn_id"]])),
            corrections=tuple(map(_correction, proposed[row["turn_id"]])),
            review=next((item_of({**row, **review}, now) for review in reviewed[row["turn_id"]]), None),
        )
        for row in rows
    )


async def _by_turn(connection: AsyncConnection, table: Table, turn_ids: list[str], *order: Any) -> dict[str, list[RowMapping]]:
    found: defaultdict[str, list[RowMapping]] = defaultdict(list)
    rows: Iterable[RowMapping] = (
        (await connection.execute(select(table).where(table.c.turn_id.in_(turn_ids)).order_by(*order))).mappings() if turn_ids else ()
    )
    for row in rows:
        found[row["turn_id"]].append(row)
    return found


def _feedback(row: RowMapping) -> Feedback:
    return Feedback(**{**row, "reason": FeedbackReason(row["reason"]) if row["reason"] else None})


def _correction(row: RowMapping) -> PastCorrection:
    said = {name: row[name] for name in ("correction_id", "question", "answer", "author", "state", "proposed_at")}
    return PastCorrection(**said, cause=Cause(row["cause"]))
