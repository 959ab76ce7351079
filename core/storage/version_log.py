"""What became of the answers of each version, in SQL: read from the turns and the feedback on them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping, select

from core.domain import Decision, Reason
from core.registry import VersionRecord
from core.storage.database import Database
from core.storage.model_tables import model_shadows
from core.storage.staff_tables import feedback
from core.storage.tables import turns
from core.text import clean

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
            select(turns.c.answered_at, turns.c.timings_ms, turns.c.decision, turns.c.reason, _NEWEST.label("helpful"))
            .where(turns.c.model == model_id, turns.c.answered_at > since)
            .order_by(turns.c.answered_at)
            .limit(limit)
        )
        silent = (
            select(model_shadows)
            .where(model_shadows.c.model_id == model_id, model_shadows.c.written_at > since)
            .order_by(model_shadows.c.written_at)
            .limit(limit)
        )
        async with self._database.read() as connection:
            said = [(row["answered_at"], _record(row)) for row in (await connection.execute(query)).mappings()]
            unsaid = [(row["written_at"], _shadow(row)) for row in (await connection.execute(silent)).mappings()]
        return tuple(record for _, record in sorted(said + unsaid, key=lambda one: one[0])[:limit])

    async def add(self, model_id: str, record: VersionRecord) -> None:
        """See `VersionLog.add`."""
        row = {"model_id": clean(model_id), "seconds": record.seconds, "abstained": record.abstained, "quoted": record.quoted}
        async with self._database.write() as connection:
            await connection.execute(model_shadows.insert().values(written_at=await self._database.now(connection), **row))


def _record(row: RowMapping) -> VersionRecord:
    return VersionRecord(
        seconds=row["timings_ms"]["generate"] / 1000,
        abstained=(row["decision"], row["reason"]) == (Decision.HANDOFF, Reason.LOW_CONFIDENCE),
        quoted=row["reason"] == Reason.QUOTED,
        helpful=None if row["helpful"] is None else bool(row["helpful"]),
        at=row["answered_at"],
    )


def _shadow(row: RowMapping) -> VersionRecord:
    return VersionRecord(row["seconds"], row["abstained"], row["quoted"], helpful=None, at=row["written_at"])
