"""Moments in SQL: one row for each name, with the moment that is free next, by the database's clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from core.storage.database import Database
from core.storage.staff_tables import slots


class SqlSlots:
    """`Slots` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, apart: float) -> float:
        """See `Slots.take`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            new = self._database.insert(slots).values(name=name, free_at=now)
            await connection.execute(new.on_conflict_do_nothing())
            free_at = (await connection.execute(select(slots.c.free_at).where(slots.c.name == name).with_for_update())).scalar_one()
            mine: datetime = max(free_at, now)
            await connection.execute(slots.update().where(slots.c.name == name).values(free_at=mine + timedelta(seconds=apart)))
            return (mine - now).total_seconds()
