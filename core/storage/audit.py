"""The audit log in SQL: rows in a chain of hashes, written one after the other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, RowMapping, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import EVERYTHING, START, STARTED, AuditEntry, Filter, chained, detail_text
from core.storage.database import Database
from core.storage.staff_tables import audit
from core.text import clean

_AT_ONCE = 1000  # rows read at a time


class SqlAuditLog:
    """`AuditLog` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, actor: str, action: str, target: str, result: str, **detail: Any) -> int:
        """See `AuditLog.record`."""
        async with self._database.write() as connection:
            await self._queue_up(connection)
            return await self._add(connection, actor, action, target, result, detail)

    async def start(self, actor: str, action: str, target: str, *, limit: int, seconds: float, **detail: Any) -> bool:
        """See `AuditLog.start`."""
        async with self._database.write() as connection:
            await self._queue_up(connection)
            since = await self._database.now(connection) - timedelta(seconds=seconds)
            lately = (audit.c.action == action, audit.c.result == STARTED, audit.c.at > since)
            if (await connection.execute(select(func.count()).select_from(audit).where(*lately))).scalar_one() >= limit:
                return False
            await self._add(connection, actor, action, target, STARTED, detail)
        return True

    async def note(self, actor: str, action: str, target: str, *, seconds: float, **detail: Any) -> bool:
        """See `AuditLog.note`; of two in the same moment both may be kept."""
        async with self._database.read() as connection:
            since = await self._database.now(connection) - timedelta(seconds=seconds)
            lately = (audit.c.action == action, audit.c.at > since, audit.c.actor == actor, audit.c.target == target)
            if (await connection.execute(select(audit.c.audit_id).where(*lately).limit(1))).first() is not None:
                return False
        await self.record(actor, action, target, "done", **detail)
        return True

    async def entries(self, limit: int, before: int | None = None, wanted: Filter = EVERYTHING) -> tuple[AuditEntry, ...]:
        """See `AuditLog.entries`."""
        query = select(audit).where(*_conditions(wanted)).order_by(audit.c.audit_id.desc()).limit(limit)
        query = query if before is None else query.where(audit.c.audit_id < before)
        async with self._database.read() as connection:
            return tuple(_entry(row) for row in (await connection.execute(query)).mappings())

    async def verify(self) -> int | None:
        """See `AuditLog.verify`."""
        expected = START
        async with self._database.read() as connection:
            async for row in _oldest_first(connection):
                if row["previous"] != expected or row["hash"] != chained(expected, _entry(row)):
                    return int(row["audit_id"])
                expected = row["hash"]
        return None

    async def _queue_up(self, connection: AsyncConnection) -> None:
        """Let one writer at a time see the end of the chain; on SQLite a write transaction does by itself."""
        if not self._database.is_sqlite:
            await connection.exec_driver_sql("LOCK TABLE audit IN EXCLUSIVE MODE")

    async def _add(self, connection: AsyncConnection, actor: str, action: str, target: str, result: str, detail: dict[str, Any]) -> int:
        entry = AuditEntry(0, await self._database.now(connection), actor, action, target, result, detail).cleaned()
        last: Row[tuple[str]] | None = (await connection.execute(select(audit.c.hash).order_by(audit.c.audit_id.desc()).limit(1))).first()
        previous = last.hash if last else START
        texts = {name: getattr(entry, name) for name in ("at", "actor", "action", "target", "result")}
        insert = audit.insert().values(**texts, detail=detail_text(entry), previous=previous, hash=chained(previous, entry))
        audit_id: int = (await connection.execute(insert.returning(audit.c.audit_id))).scalar_one()
        return audit_id


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    found = [audit.c[name] == clean(text) for name, text in (("actor", wanted.actor), ("result", wanted.result)) if text]
    if wanted.action:
        found.append(func.substr(audit.c.action, 1, len(clean(wanted.action))) == clean(wanted.action))
    if wanted.text:
        columns = (audit.c.actor, audit.c.target, audit.c.detail)
        found.append(or_(*(column.icontains(clean(wanted.text), autoescape=True) for column in columns)))
    return found


async def _oldest_first(connection: AsyncConnection) -> AsyncIterator[RowMapping]:
    """Every row, in batches: an audit log only grows."""
    query, last = select(audit).order_by(audit.c.audit_id).limit(_AT_ONCE), -1
    while rows := (await connection.execute(query.where(audit.c.audit_id > last))).mappings().all():
        for row in rows:
            yield row
        last = rows[-1]["audit_id"]


def _entry(row: RowMapping) -> AuditEntry:
    texts = {name: row[name] for name in ("audit_id", "at", "actor", "action", "target", "result")}
    return AuditEntry(**texts, detail=_read(row["detail"]))


def _read(detail: str) -> Any:
    try:
        return json.loads(detail)
    except ValueError:  # somebody changed it: the chain must say so, not fail
        return {"unreadable": detail}
