"""What a customer is told besides answers, read from the outbox."""

from __future__ import annotations

from sqlalchemy import select, text

from core.domain import Action, Address
from core.storage.database import Database
from core.storage.tables import IS_NOTICE, among, conversations, outbox
from core.storage.turn_rows import at
from core.updates import Update

_AT_ONCE = 100


class SqlUpdates:
    """`Updates` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def since(self, address: Address, number: int) -> tuple[Update, ...]:
        """See `Updates.since`; that an answer is late is shown by whoever waits for it."""
        here = select(conversations.c.conversation_id).where(*at(address)).scalar_subquery()
        told = (outbox.c.state == "sent", among(outbox.c.action, Action.PERSON.value, Action.NOTICE.value), outbox.c.key.not_like("late-%"))
        mine = (outbox.c.conversation_id == here, text(f"outbox.{IS_NOTICE}"), outbox.c.outbox_id > number, outbox.c.text != "")
        query = select(outbox.c.outbox_id, outbox.c.text, outbox.c.action).where(*mine, *told).order_by(outbox.c.outbox_id).limit(_AT_ONCE)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(Update(row.outbox_id, row.text, row.action == Action.PERSON.value) for row in rows)
