"""Rows of the queue as turns are written and judged: inside the transaction that writes the turn or the feedback."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Address, Reply
from core.reviews import Sign, signs_of
from core.storage.database import Database
from core.storage.review_tables import reviews, turn_index
from core.storage.staff_tables import feedback


def review_row(turn_id: str, address: Address, question: str, reply: Reply, now: datetime) -> dict[str, Any] | None:
    """Return the row of a new turn, None when nobody needs to look at it: most turns cost nothing here."""
    signs = signs_of(turn_id, question, reply)
    if not signs:
        return None
    place = {"platform": address.platform, "workspace_id": address.workspace_id}
    return {"turn_id": turn_id, "risk": int(signs), "queued_at": now, **place}


async def judged(database: Database, connection: AsyncConnection, turn_id: str, now: datetime) -> None:
    """Put a turn where the feedback on it belongs: one that somebody has come to find unhelpful waits again, whatever was said of it."""
    unhelpful = select(feedback.c.turn_id).where(feedback.c.turn_id == turn_id, feedback.c.helpful.is_(False))
    if (await connection.execute(unhelpful.limit(1))).first() is None:
        await _calm(connection, turn_id)
    else:
        await _alarm(database, connection, turn_id, now)


async def _alarm(database: Database, connection: AsyncConnection, turn_id: str, now: datetime) -> None:
    place = select(turn_index.c.turn_id, turn_index.c.platform, turn_index.c.workspace_id).where(turn_index.c.turn_id == turn_id)
    row = (await connection.execute(place)).mappings().one()
    insert = database.insert(reviews).values(**row, risk=int(Sign.UNHELPFUL), queued_at=now)
    is_known = reviews.c.risk.bitwise_and(int(Sign.UNHELPFUL)) != 0
    changes = {
        "risk": reviews.c.risk.bitwise_or(int(Sign.UNHELPFUL)),
        "queued_at": case((is_known, reviews.c.queued_at), else_=now),
        "verdict": case((is_known, reviews.c.verdict), else_=null()),
    }
    await connection.execute(insert.on_conflict_do_update(index_elements=["turn_id"], set_=changes))


async def _calm(connection: AsyncConnection, turn_id: str) -> None:
    this = reviews.c.turn_id == turn_id
    lowered = reviews.c.risk.bitwise_and(~int(Sign.UNHELPFUL))
    await connection.execute(update(reviews).where(this).values(risk=lowered))
    await connection.execute(delete(reviews).where(this, reviews.c.risk == 0, reviews.c.verdict.is_(None), reviews.c.claimed_by.is_(None)))
