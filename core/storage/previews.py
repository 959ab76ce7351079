"""Previews in SQL: one row for each conversation that shows one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Action, Address, utc_now
from core.previews import Preview
from core.storage.database import Database
from core.storage.staff_tables import previews
from core.storage.tables import UNDELIVERED, among, conversations, outbox


class SqlPreviews:
    """`Previews` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, address: Address, attempt: str) -> bool:
        """See `Previews.begin`."""
        insert = self._database.insert(previews).values(**asdict(address), attempt=attempt, begun_at=utc_now(), leaving=False)
        async with self._database.write() as connection:
            if not await _lock(connection, address, conversations.c.lease == attempt, ~_REPLY_IS_ON_ITS_WAY):
                return False
            return (await connection.execute(insert.on_conflict_do_nothing())).rowcount == 1

    async def shown(self, address: Address, reference: str) -> bool:
        """See `Previews.shown`."""
        stays = update(previews).where(*_at(address), ~previews.c.leaving).values(reference=reference)
        async with self._database.write() as connection:
            return (await connection.execute(stays)).rowcount == 1

    async def of(self, address: Address) -> Preview | None:
        """See `Previews.of`."""
        columns = (previews.c.attempt, previews.c.reference, previews.c.leaving)
        async with self._database.read() as connection:
            row = (await connection.execute(select(*columns).where(*_at(address)))).first()
        return Preview(row.attempt, row.reference, row.leaving) if row else None

    async def leave(self, address: Address) -> bool:
        """See `Previews.leave`."""
        async with self._database.write() as connection:
            if not await _lock(connection, address, ~_REPLY_IS_ON_ITS_WAY):
                return False
            return (await connection.execute(update(previews).where(*_at(address)).values(leaving=True))).rowcount == 1

    async def missing(self, address: Address) -> str | None:
        """See `Previews.missing`."""
        async with self._database.write() as connection:
            await connection.execute(delete(previews).where(*_at(address), previews.c.reference.is_(None)))
            return (await connection.execute(select(previews.c.reference).where(*_at(address)))).scalar()

    async def end(self, address: Address) -> None:
        """See `Previews.end`."""
        async with self._database.write() as connection:
            await connection.execute(delete(previews).where(*_at(address)))


_REPLY_IS_ON_ITS_WAY = (
    select(outbox.c.outbox_id)
    .where(
        outbox.c.conversation_id == conversations.c.conversation_id,
        outbox.c.action == Action.REPLY.value,
        among(outbox.c.state, *UNDELIVERED),
    )
    .exists()
)


async def _lock(connection: AsyncConnection, address: Address, *where: ColumnElement[bool]) -> bool:
    """Tell whether the conversation is as it should be, and keep it so: under its lock no answer is finished meanwhile."""
    here = select(conversations.c.conversation_id).where(*(conversations.c[name] == value for name, value in asdict(address).items()))
    await connection.execute(here.with_for_update())
    # Asked anew: PostgreSQL would answer for other tables as they were before it waited for the lock.
    return (await connection.execute(here.where(*where))).first() is not None


def _at(address: Address) -> tuple[Any, ...]:
    return tuple(previews.c[name] == value for name, value in asdict(address).items())
