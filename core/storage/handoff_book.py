"""Hand-offs looked up in SQL: by id, by the thread of staff, and page by page; never beyond the scope of whoever looks."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, func, select, text

from core.domain import Action, Address, Decision, Exchange
from core.handoff import MAX_EXCHANGES, MAX_PASSAGES, Handoff, Helper, Line, Packet, State, Tried, Why
from core.members import Scope
from core.mood import mood_of
from core.storage.database import Database
from core.storage.handoff_rows import ALERT_KEY
from core.storage.handoff_tables import IS_OPEN, IS_OVER, handoff_words, handoffs
from core.storage.scopes import within
from core.storage.tables import among, conversations, outbox, turns
from core.text import clean

_PLACE = ("platform", "workspace_id", "channel_id", "thread_id")
_MAX_LINES = 500


class SqlHandoffBook:
    """`HandoffBook` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handoff(self, handoff_id: str, scope: Scope) -> Handoff | None:
        """See `HandoffBook.handoff`."""
        return await self._first(_records(within(scope, handoffs), handoffs.c.handoff_id == clean(handoff_id)))

    async def at(self, platform: str, reference: str) -> Handoff | None:
        """See `HandoffBook.at`."""
        posted = (outbox.c.reference == clean(reference), outbox.c.platform == platform, outbox.c.action == Action.ALERT.value)
        return await self._first(_records(*posted))

    async def is_settling(self, platform: str) -> bool:
        """See `HandoffBook.is_settling`."""
        under_way = (among(outbox.c.state, "sending", "uncertain"), outbox.c.platform == platform, outbox.c.action == Action.ALERT.value)
        async with self._database.read() as connection:
            return (await connection.execute(select(outbox.c.outbox_id).where(*under_way).limit(1))).first() is not None

    async def packet(self, handoff_id: str) -> Packet | None:
        """See `HandoffBook.packet`."""
        last = select(turns.c.conversation_id, turns.c.position).join(handoffs, handoffs.c.turn_id == turns.c.turn_id)
        async with self._database.read() as connection:
            found = (await connection.execute(last.where(handoffs.c.handoff_id == clean(handoff_id)))).first()
            if found is None:
                return None
            said = (turns.c.conversation_id == found.conversation_id, turns.c.position <= found.position)
            told = (*said, turns.c.decision != Decision.SILENT.value)
            query = select(turns).where(*told).order_by(turns.c.position.desc()).limit(MAX_EXCHANGES + 1)
            rows = (await connection.execute(query)).mappings().all()
        return _packet(rows)

    async def lines(self, handoff_id: str) -> tuple[Line, ...]:
        """See `HandoffBook.lines`."""
        async with self._database.read() as connection:
            handoff = (await connection.execute(select(handoffs).where(handoffs.c.handoff_id == clean(handoff_id)))).mappings().first()
            if handoff is None:
                return ()
            asked = (await connection.execute(_asked_since(handoff))).mappings().all()
            said = (await connection.execute(_said_in(handoff["handoff_id"]))).mappings().all()
        lines = [line for row in asked for line in _lines_of_turn(row)] + [_line_of_staff(row) for row in said]
        return tuple(sorted(lines, key=lambda line: line.said_at))[-_MAX_LINES:]

    async def page(self, scope: Scope, limit: int, *, closed: bool = False) -> tuple[Handoff, ...]:
        """See `HandoffBook.page`."""
        query = _records(within(scope, handoffs), text(f"handoffs.{IS_OVER if closed else IS_OPEN}"))
        order = (handoffs.c.closed_at.desc(),) if closed else (handoffs.c.state.desc(), handoffs.c.opened_at)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(*order).limit(limit))).mappings().all()
        return tuple(map(_handoff, rows))

    async def count(self, state: State, scope: Scope, limit: int) -> int:
        """See `HandoffBook.count`."""
        some = select(handoffs.c.handoff_id).where(text(f"handoffs.{IS_OPEN}"), handoffs.c.state == state.value, within(scope, handoffs))
        async with self._database.read() as connection:
            return int((await connection.execute(select(func.count()).select_from(some.limit(limit).subquery()))).scalar_one())

    async def of_conversation(self, conversation_id: str, scope: Scope, limit: int) -> tuple[Handoff, ...]:
        """See `HandoffBook.of_conversation`."""
        query = _records(within(scope, handoffs), handoffs.c.conversation_id == clean(conversation_id))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(handoffs.c.opened_at.desc()).limit(limit))).mappings().all()
        return tuple(map(_handoff, reversed(rows)))

    async def _first(self, query: Select[Any]) -> Handoff | None:
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return _handoff(row) if row else None


def _records(*where: ColumnElement[bool] | Any) -> Select[Any]:
    place = [conversations.c[name].label(f"of_{name}") for name in _PLACE]
    joined = handoffs.join(conversations, conversations.c.conversation_id == handoffs.c.conversation_id)
    joined = joined.join(turns, turns.c.turn_id == handoffs.c.turn_id)
    posted = (outbox.c.conversation_id == handoffs.c.staff_conversation_id) & (outbox.c.key == ALERT_KEY + handoffs.c.handoff_id)
    return select(handoffs, *place, turns.c.question, outbox.c.reference).select_from(joined.outerjoin(outbox, posted)).where(*where)


def _handoff(row: RowMapping) -> Handoff:
    return Handoff(
        row["handoff_id"],
        Address(*(row[f"of_{name}"] for name in _PLACE)),
        row["customer_id"],
        Why(row["reason"]),
        State(row["state"]),
        row["opened_at"],
        Helper(row["claimed_by"] or "", row["claimed_name"] or "") if row["claimed_at"] else None,
        row["claimed_at"],
        row["closed_at"],
        row["staff_platform"] or "",
        row["reference"] or "",
        row["question"],
    )


def _packet(newest_first: Any) -> Packet:
    last, *earlier = newest_first
    exchanges = tuple(Exchange(row["question"], row["text"]) for row in reversed(earlier))
    tried = tuple(Tried(hit["title"], hit["score"], hit["url"]) for hit in last["hits"][:MAX_PASSAGES])
    said = "" if last["decision"] == Decision.HANDOFF else last["text"]  # that somebody comes is not what staff must know
    return Packet(last["question"], said, exchanges, tried, mood_of([row["question"] for row in reversed(newest_first)]))


def _asked_since(handoff: RowMapping) -> Select[Any]:
    first = select(turns.c.position).where(turns.c.turn_id == handoff["turn_id"]).scalar_subquery()
    since = (turns.c.conversation_id == handoff["conversation_id"], turns.c.position > first)
    until = (turns.c.asked_at <= handoff["closed_at"],) if handoff["closed_at"] else ()
    return select(turns).where(*since, *until).order_by(turns.c.position.desc()).limit(_MAX_LINES)


def _said_in(handoff_id: str) -> Select[Any]:
    columns = (handoff_words.c.author, handoff_words.c.author_name, handoff_words.c.said_at, outbox.c.text, outbox.c.state)
    joined = select(*columns).join(outbox, outbox.c.key == handoff_words.c.key)
    return joined.where(handoff_words.c.handoff_id == handoff_id).order_by(handoff_words.c.said_at.desc()).limit(_MAX_LINES)


def _lines_of_turn(row: RowMapping) -> list[Line]:
    asked = Line("customer", row["question"], row["asked_at"])
    return [asked, Line("bot", row["text"], row["answered_at"])] if row["text"] else [asked]


def _line_of_staff(row: RowMapping) -> Line:
    name = row["author_name"] or row["author"]
    return Line("staff", row["text"] or "", row["said_at"], name, undelivered=row["state"] == "dead")
