"""What people think of replies, in SQL."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import RowMapping, select

from core.feedback import Feedback, FeedbackReason
from core.storage.database import Database
from core.storage.review_rows import judged
from core.storage.staff_tables import feedback
from core.storage.tables import turns
from core.text import clean


class SqlFeedbackLog:
    """`FeedbackLog` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def give(self, given: Feedback) -> bool:
        """See `FeedbackLog.give`."""
        row = asdict(given.cleaned()) | {"turn_id": clean(given.turn_id)}
        insert = self._database.insert(feedback).values(**row)
        values = {name: insert.excluded[name] for name in row if not feedback.c[name].primary_key}
        async with self._database.write() as connection:
            known = await connection.execute(select(turns.c.turn_id).where(turns.c.turn_id == row["turn_id"]))
            if known.first() is None:
                return False
            await connection.execute(insert.on_conflict_do_update(index_elements=list(feedback.primary_key), set_=values))
            await judged(self._database, connection, row["turn_id"], await self._database.now(connection))
        return True

    async def of(self, turn_id: str) -> tuple[Feedback, ...]:
        """See `FeedbackLog.of`."""
        query = select(feedback).where(feedback.c.turn_id == clean(turn_id)).order_by(feedback.c.given_at, feedback.c.actor_id)
        async with self._database.read() as connection:
            return tuple(map(_feedback, (await connection.execute(query)).mappings()))


def _feedback(row: RowMapping) -> Feedback:
    return Feedback(**{**row, "reason": FeedbackReason(row["reason"]) if row["reason"] else None})
