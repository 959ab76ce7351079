"""What processes say of the models they run, in SQL: one row for each, by the database's clock."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping, delete, select

from core.registry import Alias, HostReport, Load, Seat
from core.storage.database import Database
from core.storage.model_tables import model_hosts
from core.text import clean

_FORGET_AFTER = timedelta(days=1)  # a host that was killed takes nothing back


class SqlHostBoard:
    """`HostBoard` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, report: HostReport) -> None:
        """See `HostBoard.report`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            row = {"host_id": clean(report.host_id), "seen_at": now, "report": _text(report)}
            insert = self._database.insert(model_hosts).values(**row)
            await connection.execute(insert.on_conflict_do_update(index_elements=["host_id"], set_=row))
            await connection.execute(delete(model_hosts).where(model_hosts.c.seen_at < now - _FORGET_AFTER))

    async def reports(self, seconds: float) -> tuple[HostReport, ...]:
        """See `HostBoard.reports`."""
        async with self._database.read() as connection:
            since = await self._database.now(connection) - timedelta(seconds=seconds)
            rows = (await connection.execute(select(model_hosts).where(model_hosts.c.seen_at > since))).mappings()
            return tuple(sorted(map(_report, rows), key=lambda report: report.host_id))  # databases sort letters each in its own way

    async def leave(self, host_id: str) -> None:
        """See `HostBoard.leave`."""
        async with self._database.write() as connection:
            await connection.execute(delete(model_hosts).where(model_hosts.c.host_id == clean(host_id)))


def _text(report: HostReport) -> str:
    seats = [seat._asdict() | {"load": seat.load._asdict()} for seat in report.seats]
    return json.dumps({"seats": seats, "followed": report.followed, "last": clean(report.last)})


def _report(row: RowMapping) -> HostReport:
    told = json.loads(row["report"])
    return HostReport(row["host_id"], tuple(map(_seat, told["seats"])), told["followed"], told["last"], row["seen_at"])


def _seat(told: dict[str, Any]) -> Seat:
    # Hosts of two versions share the board during an update: what the newer one says besides is left out.
    load = Load(**{name: told["load"][name] for name in Load._fields if name in told["load"]})
    return Seat(Alias(told["alias"]), told["model_id"], told["ready"], load, told.get("problem", ""))
