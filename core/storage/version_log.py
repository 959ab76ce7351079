"""What became of the answers of each version, in SQL: read from the turns and the feedback on them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping, select

from core.domain import Decision, Reason
from core.registry import VersionRecord
from core.storage.database import Database
from core.storage.staff_tables import feedback
from core.storage.tables import turns

# Nobody sees a difference between two who judged in one moment; the second key only makes the choice the same every time.
_NEWEST = (
    select(feedback.c.helpful)
    .where(feedback.c.turn_id == turns.c.turn_id)
    .order_by(feedback.c.given_at.desc(), feedback.c.actor_id.desc())
    .limit(1)
    .scalar_subquery()
)


class SqlVersionLog:
    """`VersionLog` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def records(self, model_id: str, since: datetime, limit: int) -> tuple[VersionRecord, ...]:
        """See `VersionLog.records`."""
        query = (
            select(turns.c.timings_ms, turns.c.decision, turns.c.reason, _NEWEST.label("helpful"))
            .where(turns.c.model == model_id, turns.c.answered_at > since)
            .order_by(turns.c.answered_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return tuple(map(_record, (await connection.execute(query)).mappings()))


def _record(row: RowMapping) -> VersionRecord:
    return VersionRecord(
        seconds=row["timings_ms"]["generate"] / 1000,
        abstained=(row["decision"], row["reason"]) == (Decision.HANDOFF, Reason.LOW_CONFIDENCE),
        quoted=row["reason"] == Reason.QUOTED,
        helpful=None if row["helpful"] is None else bool(row["helpful"]),
    )
