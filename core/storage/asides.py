"""What was said in a conversation without the bot, in SQL: by the customer while a person had them, and by that person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Decision, Reason
from core.handoff import Line
from core.storage.handoff_tables import handoff_words, handoffs
from core.storage.tables import inbox, outbox, turns

_MOST = 500


async def asides(connection: AsyncConnection, conversation_id: str, since: datetime | None, until: datetime | None) -> tuple[Line, ...]:
    """Return the last lines between two moments, oldest first; None: without an end on that side."""
    rows = (await connection.execute(_by_customers(conversation_id, since, until))).all()
    found = [Line("customer", row.question, row.asked_at, row.actor_name or row.actor_id) for row in rows]
    rows = (await connection.execute(_by_staff(conversation_id, since, until))).all()
    found += [Line("staff", row.text or "", row.said_at, row.author_name or row.author, row.state == "dead") for row in rows]
    return tuple(sorted(found, key=lambda line: line.said_at))[-_MOST:]


def _by_customers(conversation_id: str, since: datetime | None, until: datetime | None) -> Select[Any]:
    unheard = (turns.c.decision == Decision.SILENT.value, turns.c.reason == Reason.WITH_PERSON.value)
    joined = turns.outerjoin(inbox, inbox.c.inbox_id == turns.c.inbox_id)
    query = select(turns.c.question, turns.c.asked_at, turns.c.actor_id, inbox.c.actor_name)
    here = (turns.c.conversation_id == conversation_id, *unheard, *_between(turns.c.asked_at, since, until))
    return query.select_from(joined).where(*here).order_by(turns.c.position.desc()).limit(_MOST)


def _by_staff(conversation_id: str, since: datetime | None, until: datetime | None) -> Select[Any]:
    said = (handoff_words.c.author, handoff_words.c.author_name, handoff_words.c.said_at, outbox.c.text, outbox.c.state)
    joined = handoff_words.join(handoffs).join(outbox, outbox.c.key == handoff_words.c.key)
    here = (handoffs.c.conversation_id == conversation_id, *_between(handoff_words.c.said_at, since, until))
    return select(*said).select_from(joined).where(*here).order_by(handoff_words.c.said_at.desc()).limit(_MOST)


def _between(column: Any, since: datetime | None, until: datetime | None) -> tuple[ColumnElement[bool], ...]:
    return (*((column >= since,) if since else ()), *((column <= until,) if until else ()))
