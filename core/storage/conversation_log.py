"""Conversations and their turns in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from core.domain import Address, Exchange, InboundMessage, Owner, Reply
from core.ports import Turn
from core.storage.database import Database
from core.storage.handoff_rows import give_back, take
from core.storage.tables import conversations, turns
from core.storage.turn_rows import add_turn, at, conversation_at, reply_of


class SqlConversationLog:
    """`ConversationLog` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, message: InboundMessage, reply: Reply) -> str:
        """See `ConversationLog.append`."""
        async with self._database.write() as connection:
            conversation_id = await conversation_at(self._database, connection, message.address)
            return await add_turn(connection, conversation_id, message, reply)

    async def history(self, address: Address, limit: int = 4) -> tuple[Exchange, ...]:
        """See `ConversationLog.history`."""
        query = _of(address, turns.c.question, turns.c.text).order_by(turns.c.position.desc()).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(Exchange(row.question, row.text) for row in reversed(rows))

    async def turns(self, address: Address) -> tuple[Turn, ...]:
        """See `ConversationLog.turns`."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_of(address, *turns.c).order_by(turns.c.position))).mappings().all()
        return tuple(Turn(row["turn_id"], row["question"], row["asked_at"], reply_of(row)) for row in rows)

    async def is_known(self, address: Address) -> bool:
        """See `ConversationLog.is_known`."""
        async with self._database.read() as connection:
            return (await connection.execute(select(conversations.c.conversation_id).where(*at(address)))).first() is not None

    async def owner(self, address: Address) -> Owner:
        """See `ConversationLog.owner`."""
        async with self._database.read() as connection:
            owner = (await connection.execute(select(conversations.c.owner).where(*at(address)))).scalar()
        return Owner(owner) if owner else Owner.BOT

    async def set_owner(self, address: Address, owner: Owner) -> None:
        """See `ConversationLog.set_owner`."""
        async with self._database.write() as connection:
            conversation_id = await conversation_at(self._database, connection, address)
            if owner is Owner.STAFF:
                await take(self._database, connection, conversation_id, "")
            else:
                await give_back(self._database, connection, conversation_id, "")


def _of(address: Address, *columns: Any) -> Select[Any]:
    return select(*columns).join(conversations, conversations.c.conversation_id == turns.c.conversation_id).where(*at(address))
