"""Previews in SQL: one row for each conversation that shows one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, select, update

from core.domain import Address, utc_now
from core.previews import Preview
from core.storage.database import Database
from core.storage.staff_tables import previews


class SqlPreviews:
    """`Previews` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, address: Address, attempt: str) -> None:
        """See `Previews.begin`."""
        values = {"attempt": attempt, "begun_at": utc_now()}
        insert = self._database.insert(previews).values(**asdict(address), **values)
        async with self._database.write() as connection:
            await connection.execute(insert.on_conflict_do_update(index_elements=list(previews.primary_key), set_=values))

    async def shown(self, address: Address, reference: str) -> bool:
        """See `Previews.shown`."""
        async with self._database.write() as connection:
            return (await connection.execute(update(previews).where(*_at(address)).values(reference=reference))).rowcount == 1

    async def of(self, address: Address) -> Preview | None:
        """See `Previews.of`."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(previews.c.attempt, previews.c.reference).where(*_at(address)))).first()
        return Preview(row.attempt, row.reference) if row else None

    async def end(self, address: Address) -> None:
        """See `Previews.end`."""
        async with self._database.write() as connection:
            await connection.execute(delete(previews).where(*_at(address)))


def _at(address: Address) -> tuple[Any, ...]:
    return tuple(previews.c[name] == value for name, value in asdict(address).items())
