"""Drafts and what staff have the bot say, as rows of the outbox: the next part of a turn, or a notice."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import select

from core.domain import Action, Address
from core.drafts import STAFF, words_of
from core.storage.database import Database
from core.storage.tables import outbox, turns
from core.storage.turn_rows import conversation_at
from core.text import clean

_DECIDED = 2  # the part after the draft (0) and the alert (1): its row is the decision, and there can be only one


class SqlDrafts:
    """`Drafts` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(self, turn_id: str, text: str | None) -> bool:
        """See `Drafts.send`."""
        words = words_of(text) if text is not None else None
        return words != "" and await self._decide(turn_id, state="pending", text=words)

    async def discard(self, turn_id: str) -> bool:
        """See `Drafts.discard`."""
        return await self._decide(turn_id, state="dropped")

    async def notify(self, address: Address, text: str, key: str) -> bool:
        """See `Drafts.notify`."""
        return await self._say(address, text, key, Action.NOTICE)

    async def announce(self, platform: str, text: str, key: str, run_id: str = "") -> bool:
        """See `Drafts.announce`; where staff read is for the adapter of the platform to know."""
        return await self._say(Address(platform, "", STAFF, run_id or STAFF), text, f"{platform} {key}", Action.NEWS)

    async def _say(self, address: Address, text: str, key: str, action: Action) -> bool:
        words = words_of(text)
        if not words:
            return False
        async with self._database.write() as connection:
            conversation_id = await conversation_at(self._database, connection, address)
            parcel = {"part": 0, "key": _key(key), "text": words, "state": "pending"}
            keys = {"conversation_id": conversation_id, "platform": address.platform, "action": action.value}
            return await self._queue(connection, **keys, **parcel)

    async def _decide(self, turn_id: str, **values: Any) -> bool:
        turn_id = clean(turn_id)
        draft = select(outbox.c.conversation_id, outbox.c.platform).join(turns, turns.c.turn_id == outbox.c.turn_id)
        mine = (outbox.c.turn_id == turn_id, outbox.c.part == 0, outbox.c.action == Action.DRAFT.value)
        said = turns.c.text != ""  # of somebody who was erased meanwhile nothing is left to send
        async with self._database.write() as connection:
            place = (await connection.execute(draft.where(*mine, said))).mappings().first()
            if place is None:
                return False
            keys = {"turn_id": turn_id, "part": _DECIDED, "key": f"{turn_id}-{_DECIDED}", "action": Action.REPLY.value}
            return await self._queue(connection, **place, **keys, **values)

    async def _queue(self, connection: Any, **row: Any) -> bool:
        now = await self._database.now(connection)
        insert = self._database.insert(outbox).values(attempts=0, due_at=now, **row)
        done: int = (await connection.execute(insert.on_conflict_do_nothing())).rowcount
        return done == 1


def _key(key: str) -> str:
    """Hashed: a key of the caller may be of any length, and must not be taken for one of a turn or of a late notice."""
    return "say-" + hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:32]
