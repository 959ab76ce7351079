"""Corrections in SQL."""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.corrections import Cause, Correction, CorrectionDraft
from core.domain import utc_now
from core.storage.database import Database
from core.storage.staff_tables import corrections
from core.storage.tables import among, turns
from core.text import clean


class SqlCorrectionStore:
    """`CorrectionStore` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def propose(self, draft: CorrectionDraft) -> str:
        """See `CorrectionStore.propose`."""
        draft = draft.cleaned()
        async with self._database.write() as connection:
            draft = replace(draft, turn_id=await _known(connection, draft.turn_id))
            row = asdict(draft) | {"cause": draft.cause.value, "digest": draft.digest, "state": "pending"}
            keys = {"correction_id": uuid.uuid4().hex, "proposed_at": utc_now()}
            await connection.execute(self._database.insert(corrections).values(**row, **keys).on_conflict_do_nothing())
            kept = select(corrections.c.correction_id).where(corrections.c.digest == draft.digest)
            correction_id: str = (await connection.execute(kept)).scalar_one()
            return correction_id

    async def pending(self, limit: int) -> tuple[Correction, ...]:
        """See `CorrectionStore.pending`."""
        waiting = select(corrections).where(among(corrections.c.state, "pending"))
        async with self._database.read() as connection:
            rows = await connection.execute(waiting.order_by(corrections.c.proposed_at, corrections.c.correction_id).limit(limit))
            return tuple(map(_correction, rows.mappings()))


async def _known(connection: AsyncConnection, turn_id: str | None) -> str | None:
    found: str | None = (await connection.execute(select(turns.c.turn_id).where(turns.c.turn_id == clean(turn_id or "")))).scalar()
    return found


def _correction(row: RowMapping) -> Correction:
    said = {name: row[name] for name in ("turn_id", "question", "answer", "author", "origin")}
    return Correction(row["correction_id"], CorrectionDraft(**said, cause=Cause(row["cause"])), row["proposed_at"])
