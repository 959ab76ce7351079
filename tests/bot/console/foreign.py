"""What belongs to a workspace that somebody may not look into: an id for every name of a parameter in an address."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from core.corrections import Cause, CorrectionDraft
from core.domain import Actor, Address, Decision, InboundMessage, Lineage, Reason, Reply
from core.storage.correction_store import SqlCorrectionStore
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.tables import conversations, turns

OTHERS = Address("slack", "T-OTHERS", "C1", "1.1")
SECRET = "canary-of-the-others"


async def planted(database: Database) -> Mapping[str, str]:
    """Put a conversation, a turn and a correction into the workspace of others and return their ids by the names of parameters."""
    inbox = SqlInbox(database)
    await inbox.accept(InboundMessage("1.1", OTHERS, Actor("U1"), SECRET))
    claim = await inbox.claim(60)
    assert claim is not None
    await inbox.finish(claim, Reply(Decision.DIRECT, Reason.CONFIDENT, SECRET, (), 0.9, Lineage("m", "i", "p", "e", "o")))
    async with database.read() as connection:
        turn_id = (await connection.execute(select(turns.c.turn_id))).scalar_one()
        conversation_id = (await connection.execute(select(conversations.c.conversation_id))).scalar_one()
    draft = CorrectionDraft(turn_id, SECRET, SECRET, Cause.WRONG_TEXT, "slack:T-OTHERS:U2", "slack:T-OTHERS:C1")
    correction_id = await SqlCorrectionStore(database).propose(draft)
    return {"turn_id": turn_id, "conversation_id": conversation_id, "correction_id": correction_id}
