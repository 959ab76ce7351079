"""Turns of any conversation, found by id, author, place or message, in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select

from core.domain import Address, Decision
from core.review import TurnRecord
from core.storage.database import Database
from core.storage.tables import conversations, outbox, turns
from core.storage.turn_rows import at, reply_of
from core.text import clean

PLACE = tuple(conversations.c[name] for name in ("platform", "workspace_id", "channel_id", "thread_id"))


class SqlTurnBook:
    """`TurnBook` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """See `TurnBook.turn`."""
        return await self._first(
            _records().where(turns.c.turn_id == clean(turn_id))
        )  # an id comes back from outside: PostgreSQL refuses NUL

    async def recent(self, platform: str, workspace_id: str, actor_id: str, limit: int) -> tuple[TurnRecord, ...]:
        """See `TurnBook.recent`."""
        theirs = (turns.c.actor_id == actor_id, conversations.c.platform == platform, conversations.c.workspace_id == workspace_id)
        return await self._told(_records().where(*theirs).order_by(turns.c.asked_at.desc(), turns.c.position.desc()), limit)

    async def conversation_at(self, address: Address, limit: int = 20) -> tuple[TurnRecord, ...]:
        """See `TurnBook.conversation_at`."""
        return await self._told(_records().where(*at(address)).order_by(turns.c.position.desc()), limit)

    async def turn_by_reference(self, platform: str, reference: str) -> TurnRecord | None:
        """See `TurnBook.turn_by_reference`."""
        brought = (outbox.c.reference == clean(reference), outbox.c.platform == platform)
        query = _records().join(outbox, outbox.c.turn_id == turns.c.turn_id).where(*brought)
        return await self._first(query.order_by(outbox.c.outbox_id.desc()).limit(1))

    async def _first(self, query: Select[Any]) -> TurnRecord | None:
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return record_of(row) if row else None

    async def _told(self, query: Select[Any], limit: int) -> tuple[TurnRecord, ...]:
        """Silent turns count for nothing: in a channel that the bot only overhears almost all are."""
        async with self._database.read() as connection:
            rows = (await connection.execute(query.where(turns.c.decision != Decision.SILENT.value).limit(limit))).mappings().all()
        return tuple(map(record_of, rows))


def _records() -> Select[Any]:
    return select(*turns.c, *PLACE).join(conversations, conversations.c.conversation_id == turns.c.conversation_id)


def record_of(row: Mapping[Any, Any]) -> TurnRecord:
    """Return the turn of a row that holds `PLACE` too."""
    address = Address(*(row[column.name] for column in PLACE))
    return TurnRecord(row["turn_id"], address, row["actor_id"], row["question"], reply_of(row), row["asked_at"], row["conversation_id"])
