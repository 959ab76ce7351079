"""What people do with customers who wait, in SQL: each change under the lock of the customer's conversation, told to both sides with it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import RowMapping, Select, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Action, Owner
from core.drafts import words_of
from core.handoff import ELSEWHERE, Helper, State, Step, Why
from core.storage.database import Database
from core.storage.handoff_rows import Opening, Place, end, into_thread, open_handoff, open_one, queue, set_state, show_anew
from core.storage.handoff_tables import IS_WAITING, handoff_words, handoffs
from core.storage.staff_tables import feedback
from core.storage.tables import conversations, turns
from core.storage.turn_rows import give_to_staff
from core.text import clean

_AT_ONCE = 100  # customers of one look; the next look, seconds later, goes on
_ACTIONS = {Step.REMINDER: Action.NOTE, Step.ESCALATION: Action.ESCALATION, Step.APOLOGY: Action.NOTICE}


class SqlHandoffs:
    """`Handoffs` on a `Database`."""

    def __init__(self, database: Database, staff: Mapping[str, str] = MappingProxyType({})) -> None:
        """`staff`: by the platform of a customer, that on which staff get a thread about them."""
        self._database = database
        self._staff = staff

    async def open_unhappy(self, turn_id: str, least: int, told: str) -> bool:
        """See `Handoffs.open_unhappy`."""
        joined = select(turns.c.actor_id, conversations).join(conversations, conversations.c.conversation_id == turns.c.conversation_id)
        async with self._database.write() as connection:
            query = joined.where(turns.c.turn_id == clean(turn_id)).with_for_update(of=conversations)
            row = (await connection.execute(query)).mappings().first()
            if row is None or row["owner"] == Owner.STAFF or await open_one(connection, row["conversation_id"]):
                return False
            if await _complaints(connection, row) < least:
                return False
            opening = Opening(row["conversation_id"], turn_id, (row["platform"], row["workspace_id"], row["actor_id"]), Why.THUMBS_DOWN)
            opened = await open_handoff(self._database, connection, opening, self._staff.get(row["platform"]))
            here, is_here = Place(row["conversation_id"], row["platform"]), opened["conversation_id"] == row["conversation_id"]
            words = told if is_here else ELSEWHERE
            return await queue(self._database, connection, here, Action.NOTICE, _key(opened, "unhappy", turn_id), words=words)

    async def claim(self, handoff_id: str, helper: Helper, told: str, noted: str) -> bool:
        """See `Handoffs.claim`."""
        async with self._database.write() as connection, self._locked(connection, handoff_id) as handoff:
            return handoff is not None and await self._claim(connection, handoff, helper, told, noted)

    async def say(self, handoff_id: str, helper: Helper, text: str, key: str, echo: str = "") -> bool:
        """See `Handoffs.say`."""
        words = words_of(text)
        async with self._database.write() as connection, self._locked(connection, handoff_id) as handoff:
            if handoff is None or not words:
                return False
            if (await connection.execute(select(handoff_words.c.key).where(handoff_words.c.key == key))).first() is not None:
                return True  # told again, perhaps when all is over: it was said
            if not State(handoff["state"]).is_open:
                return False
            if handoff["state"] == State.WAITING:  # whoever answers has taken it
                await self._claim(connection, handoff, helper, "", "")
            now = await self._database.now(connection)
            row = {"key": key, "handoff_id": handoff_id, "author": helper.actor, "author_name": helper.name, "said_at": now}
            await connection.execute(handoff_words.insert().values(**row))
            here = Place(handoff["conversation_id"], handoff["platform"])
            await queue(self._database, connection, here, Action.PERSON, key, words=words)
            await self._tell_thread(connection, handoff, echo, f"echo-{key}")
            return True

    async def close(self, handoff_id: str, helper: Helper, state: State, told: str, noted: str) -> bool:
        """See `Handoffs.close`."""
        async with self._database.write() as connection, self._locked(connection, handoff_id) as handoff:
            if handoff is None or not State(handoff["state"]).is_open:
                return False
            await end(self._database, connection, handoff, state, helper.actor)
            mine = conversations.c.conversation_id == handoff["conversation_id"]
            await connection.execute(update(conversations).where(mine).values(owner=Owner.BOT.value, handoff_at=None))
            await self._tell_customer(connection, handoff, told, "closed")
            await self._tell_thread(connection, handoff, noted, "closed")
            return True

    async def note(self, handoff_id: str, text: str, key: str) -> bool:
        """See `Handoffs.note`."""
        async with self._database.write() as connection, self._locked(connection, handoff_id) as handoff:
            return handoff is not None and await self._tell_thread(connection, handoff, text, key)

    async def nudge(self, step: Step, seconds: float, text: str) -> int:
        """See `Handoffs.nudge`."""
        async with self._database.read() as connection:  # locks nothing: on almost every look nobody waits
            if (await connection.execute(_waiting(step, await self._since(connection, seconds)))).first() is None:
                return 0
        async with self._database.write() as connection:
            waiting = _waiting(step, await self._since(connection, seconds)).with_for_update(of=conversations, skip_locked=True)
            rows = (await connection.execute(waiting)).mappings().all()
            done = [await self._nudge(connection, row, step, text) for row in rows]
        return sum(done)

    async def _since(self, connection: AsyncConnection, seconds: float) -> datetime:
        return await self._database.now(connection) - timedelta(seconds=seconds)

    async def _nudge(self, connection: AsyncConnection, handoff: RowMapping, step: Step, text: str) -> bool:
        """Read again under the lock: somebody may have come between the look and the lock."""
        still = (handoffs.c.handoff_id == handoff["handoff_id"], handoffs.c.state == State.WAITING.value, handoffs.c[step].is_(None))
        now = await self._database.now(connection)
        if (await connection.execute(update(handoffs).where(*still).values(**{step: now}))).rowcount == 0:
            return False
        time = f"{step}-{handoff['waiting_since'].isoformat()}"  # whoever waits anew is a new case
        if step is Step.APOLOGY:
            await self._tell_customer(connection, handoff, text, time)
        else:
            await self._tell_thread(connection, handoff, text, time, _ACTIONS[step])
        return True

    async def _claim(self, connection: AsyncConnection, handoff: RowMapping, helper: Helper, told: str, noted: str) -> bool:
        if handoff["state"] != State.WAITING:
            return False
        now = await self._database.now(connection)
        claimed = {"claimed_at": now, "claimed_by": helper.actor, "claimed_name": helper.name}
        await set_state(connection, handoff["handoff_id"], state=State.CLAIMED.value, **claimed)
        await give_to_staff(connection, handoff["conversation_id"], now)
        await show_anew(self._database, connection, handoff)
        await self._tell_customer(connection, handoff, told, "claimed")
        await self._tell_thread(connection, handoff, noted, "claimed")
        return True

    async def _tell_customer(self, connection: AsyncConnection, handoff: RowMapping, words: str, key: str) -> bool:
        here = Place(handoff["conversation_id"], handoff["platform"])
        return bool(words) and await queue(self._database, connection, here, Action.NOTICE, _key(handoff, "told", key), words=words)

    async def _tell_thread(
        self, connection: AsyncConnection, handoff: RowMapping, words: str, key: str, action: Action = Action.NOTE
    ) -> bool:
        if not words or not handoff["staff_conversation_id"]:
            return False
        return await queue(self._database, connection, into_thread(handoff), action, _key(handoff, "noted", key), words=words)

    @asynccontextmanager
    async def _locked(self, connection: AsyncConnection, handoff_id: str) -> AsyncIterator[RowMapping | None]:
        """Give a hand-off under the lock of its conversation, None when there is none of this id."""
        mine = handoffs.c.handoff_id == clean(handoff_id)
        here = select(handoffs.c.conversation_id).where(mine).scalar_subquery()
        await connection.execute(select(conversations.c.conversation_id).where(conversations.c.conversation_id == here).with_for_update())
        yield (await connection.execute(select(handoffs).where(mine))).mappings().first()


def _key(handoff: RowMapping, *parts: str) -> str:
    return "say-" + hashlib.sha256("\n".join((handoff["handoff_id"], *parts)).encode(errors="surrogatepass")).hexdigest()[:32]


def _waiting(step: Step, since: datetime) -> Select[Any]:
    """Customers who have waited since `since` and of whom a step was not done."""
    joined = select(handoffs).join(conversations, conversations.c.conversation_id == handoffs.c.conversation_id)
    due = (text(f"handoffs.{IS_WAITING}"), handoffs.c.waiting_since <= since, handoffs.c[step].is_(None))
    return joined.where(*due).order_by(handoffs.c.waiting_since).limit(_AT_ONCE)


async def _complaints(connection: AsyncConnection, row: RowMapping) -> int:
    """How many answers of a conversation their author finds unhelpful, since a person last had it."""
    last = select(func.max(handoffs.c.closed_at)).where(handoffs.c.conversation_id == row["conversation_id"]).scalar_subquery()
    theirs = (turns.c.conversation_id == row["conversation_id"], feedback.c.actor_id == row["actor_id"], feedback.c.helpful.is_(False))
    joined = select(func.count()).select_from(feedback).join(turns, turns.c.turn_id == feedback.c.turn_id)
    return (await connection.execute(joined.where(*theirs, last.is_(None) | (feedback.c.given_at > last)))).scalar_one()
