"""Previews in SQL: one row for each conversation that shows one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, delete, select, update

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
        values = {"attempt": attempt, "begun_at": utc_now()}
        insert = self._database.insert(previews).values(**asdict(address), **values)
        async with self._database.write() as connection:
            # Under the lock of its conversation no answer can be finished meanwhile.
            if (await connection.execute(_held(address, attempt).with_for_update(of=conversations))).first() is None:
                return False
            await connection.execute(insert.on_conflict_do_update(index_elements=list(previews.primary_key), set_=values))
        return True

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


def _held(address: Address, attempt: str) -> Select[Any]:
    """The conversation, if this attempt holds it and no reply of it is on its way."""
    mine = (outbox.c.conversation_id == conversations.c.conversation_id, outbox.c.action == Action.REPLY.value)
    on_its_way = select(outbox.c.outbox_id).where(*mine, among(outbox.c.state, *UNDELIVERED)).exists()
    here = (conversations.c[name] == value for name, value in asdict(address).items())
    return select(conversations.c.conversation_id).where(*here, conversations.c.lease == attempt, ~on_its_way)


def _at(address: Address) -> tuple[Any, ...]:
    return tuple(previews.c[name] == value for name, value in asdict(address).items())
