"""Hand-offs inside the transactions of others: opened with the turn that hands over, told to staff with what the customer writes.

Whoever changes one holds the lock of the customer's conversation, so that nothing is opened, claimed or closed twice.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Action, Address, InboundMessage, Owner
from core.drafts import STAFF
from core.handoff import State, Why
from core.storage.database import Database
from core.storage.handoff_tables import IS_OPEN, IS_WAITING, handoffs
from core.storage.tables import conversations, outbox
from core.storage.turn_rows import conversation_at, give_to_staff

ALERT_KEY = "handoff-"  # begins the key of a packet; then its id
RELAY = 3  # the part of a turn that tells staff what the customer wrote, beside reply (0) and decided draft (2)


class Opening(NamedTuple):
    """Who is to be handed over, and for what."""

    conversation_id: str
    turn_id: str
    customer: tuple[str, str, str]  # platform, workspace, id
    why: Why


class Place(NamedTuple):
    """The conversation that something is queued in, and its platform."""

    conversation_id: str
    platform: str


async def open_handoff(database: Database, connection: AsyncConnection, opening: Opening, staff_platform: str | None) -> RowMapping:
    """Open one where the customer has none, and return the one they have; `staff_platform`: where staff get a thread about it."""
    known = await open_one(connection, opening.conversation_id) or await _open_elsewhere(connection, opening)
    if known is not None:
        await _wait_again(connection, known["handoff_id"], await database.now(connection))
        return known
    return await _opened(database, connection, opening, staff_platform) or await _open_elsewhere(connection, opening, surely=True)


async def open_one(connection: AsyncConnection, conversation_id: str) -> RowMapping | None:
    """Return the open hand-off of a conversation."""
    query = select(handoffs).where(handoffs.c.conversation_id == conversation_id, text(IS_OPEN))
    return (await connection.execute(query)).mappings().first()


async def with_person(connection: AsyncConnection, message: InboundMessage) -> str | None:
    """Return the conversation of this channel in which the author of a message talks to a person."""
    at, is_claimed = message.address, handoffs.c.state == State.CLAIMED.value
    theirs = (handoffs.c.platform == at.platform, handoffs.c.workspace_id == at.workspace_id, text(f"handoffs.{IS_OPEN}"))
    joined = select(handoffs.c.conversation_id).join(conversations, conversations.c.conversation_id == handoffs.c.conversation_id)
    here = joined.where(*theirs, handoffs.c.customer_id == message.actor.actor_id, is_claimed, conversations.c.channel_id == at.channel_id)
    found: str | None = (await connection.execute(here)).scalar()
    return found


async def relay(database: Database, connection: AsyncConnection, handoff: RowMapping, turn_id: str) -> None:
    """Tell the thread of staff what the customer wrote in a turn."""
    if handoff["staff_conversation_id"]:
        await queue(database, connection, into_thread(handoff), Action.RELAY, f"{turn_id}-{RELAY}", turn_id=turn_id, part=RELAY)


async def take(database: Database, connection: AsyncConnection, conversation_id: str, by: str) -> None:
    """Make staff the owner of a conversation; whoever waited in it has somebody now."""
    now = await database.now(connection)
    handoff = await open_one(connection, conversation_id)
    if handoff is not None and handoff["state"] == State.WAITING:
        await set_state(connection, handoff["handoff_id"], state=State.CLAIMED.value, claimed_at=now, claimed_by=by, claimed_name="")
        await show_anew(database, connection, handoff)
    await give_to_staff(connection, conversation_id, now)


async def give_back(database: Database, connection: AsyncConnection, conversation_id: str, by: str) -> None:
    """Make the bot the owner of a conversation, and end its hand-off if it has one."""
    handoff = await open_one(connection, conversation_id)
    if handoff is not None:
        await end(database, connection, handoff, State.RETURNED, by)
    await connection.execute(_where(conversation_id).values(owner=Owner.BOT.value, handoff_at=None))


async def end(database: Database, connection: AsyncConnection, handoff: RowMapping, state: State, by: str) -> None:
    """End a hand-off in a state."""
    await set_state(connection, handoff["handoff_id"], state=state.value, closed_at=await database.now(connection), closed_by=by)
    await show_anew(database, connection, handoff)


async def set_state(connection: AsyncConnection, handoff_id: str, **values: Any) -> None:
    """Change a hand-off whose conversation is locked."""
    await connection.execute(update(handoffs).where(handoffs.c.handoff_id == handoff_id).values(**values))


async def show_anew(database: Database, connection: AsyncConnection, handoff: RowMapping) -> None:
    """Show staff the packet as it is now."""
    if handoff["staff_conversation_id"]:
        await revise(database, connection, into_thread(handoff), alert_key(handoff["handoff_id"]))


async def revise(database: Database, connection: AsyncConnection, place: Place, key: str) -> None:
    """Show what was queued under `key` anew where it stands; what stands there then is read when it is sent."""
    await queue(database, connection, place, Action.REVISION, f"rev-{uuid.uuid4().hex}", words=key)


def into_thread(handoff: RowMapping) -> Place:
    """Return where what staff read is queued; behind the packet, so that it never comes before the thread is there."""
    return Place(handoff["staff_conversation_id"], handoff["staff_platform"])


def alert_key(handoff_id: str) -> str:
    """Return the key of the packet."""
    return ALERT_KEY + handoff_id


async def queue(
    database: Database, connection: AsyncConnection, place: Place, action: Action, key: str,
    *, words: str | None = None, turn_id: str | None = None, part: int = 0,
) -> bool:  # fmt: skip
    """Queue something once for each key; False: it was queued before."""
    now = await database.now(connection)
    keys = {"conversation_id": place.conversation_id, "platform": place.platform, "key": key, "action": action.value}
    row = keys | {"turn_id": turn_id, "part": part, "text": words, "state": "pending", "attempts": 0, "due_at": now}
    done: int = (await connection.execute(database.insert(outbox).values(**row).on_conflict_do_nothing())).rowcount
    return done == 1


async def _opened(database: Database, connection: AsyncConnection, opening: Opening, staff_platform: str | None) -> RowMapping | None:
    """Insert one with its packet; None when the customer got one elsewhere this very moment."""
    now, handoff_id = await database.now(connection), uuid.uuid4().hex
    platform, workspace_id, customer_id = opening.customer
    row: dict[str, Any] = {"handoff_id": handoff_id, "conversation_id": opening.conversation_id, "turn_id": opening.turn_id}
    row |= {"reason": opening.why.value, "platform": platform, "workspace_id": workspace_id, "customer_id": customer_id}
    row |= {"state": State.WAITING.value, "opened_at": now, "waiting_since": now}
    if (await connection.execute(database.insert(handoffs).values(**row).on_conflict_do_nothing())).rowcount == 0:
        return None
    await connection.execute(_where(opening.conversation_id).values(handoff_at=now))
    if staff_platform:
        thread = Place(await conversation_at(database, connection, Address(staff_platform, "", STAFF, handoff_id)), staff_platform)
        await set_state(connection, handoff_id, staff_platform=staff_platform, staff_conversation_id=thread.conversation_id)
        part = await _free_part(connection, opening.turn_id)
        await queue(database, connection, thread, Action.ALERT, alert_key(handoff_id), turn_id=opening.turn_id, part=part)
    return (await connection.execute(select(handoffs).where(handoffs.c.handoff_id == handoff_id))).mappings().one()


async def _free_part(connection: AsyncConnection, turn_id: str) -> int:
    """Beyond those of reply, draft and relay: a turn that is judged again can be what a second hand-off is opened for."""
    last = (await connection.execute(select(func.max(outbox.c.part)).where(outbox.c.turn_id == turn_id))).scalar()
    return max(RELAY, last or 0) + 1


async def _open_elsewhere(connection: AsyncConnection, opening: Opening, *, surely: bool = False) -> Any:
    platform, workspace_id, customer_id = opening.customer
    theirs = (handoffs.c.platform == platform, handoffs.c.workspace_id == workspace_id, handoffs.c.customer_id == customer_id)
    found = (await connection.execute(select(handoffs).where(*theirs, text(IS_OPEN)))).mappings()
    return found.one() if surely else found.first()


async def _wait_again(connection: AsyncConnection, handoff_id: str, now: datetime) -> None:
    """Whoever asks again after nobody came waits from now on."""
    unheard = (handoffs.c.handoff_id == handoff_id, text(IS_WAITING), handoffs.c.told_at.is_not(None))
    anew = {"waiting_since": now, "reminded_at": None, "escalated_at": None, "told_at": None}
    await connection.execute(update(handoffs).where(*unheard).values(**anew))


def _where(conversation_id: str) -> Any:
    return update(conversations).where(conversations.c.conversation_id == conversation_id)
