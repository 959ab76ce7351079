"""What belongs to a workspace that somebody may not look into: an id for every name of a parameter in an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import select

from core.corrections import Cause, CorrectionDraft
from core.domain import Actor, Address, Decision, InboundMessage, Lineage, Reason, Reply, utc_now
from core.learning import LearningRun, Report, Sample, State
from core.members import EVERYWHERE
from core.registry import Kind
from core.storage.correction_store import SqlCorrectionStore
from core.storage.database import Database
from core.storage.handoff_book import SqlHandoffBook
from core.storage.inbox import SqlInbox
from core.storage.learning_runs import SqlRunBook
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
    sample = Sample(SECRET, SECRET, SECRET, SECRET, 0.9, 0.1)
    run = LearningRun("1" * 32, Kind.GENERATOR, "cli:ops", State.RUNNING, utc_now())
    await SqlRunBook(database).begin(run)  # runs belong to no workspace, the questions in their reports do
    await SqlRunBook(database).end(replace(run, state=State.PROMOTED, report=Report({}, {}, {}, samples=(sample,))))
    ids = {"turn_id": turn_id, "conversation_id": conversation_id, "correction_id": correction_id}
    return ids | {"handoff_id": await _handed_over(database, inbox)}


async def _handed_over(database: Database, inbox: SqlInbox) -> str:
    """Hand a customer of theirs over; the id of the hand-off."""
    await inbox.accept(InboundMessage("2.1", OTHERS, Actor(SECRET), SECRET))
    claim = await inbox.claim(60)
    assert claim is not None
    await inbox.finish(claim, Reply(Decision.HANDOFF, Reason.ASKED_FOR_PERSON, SECRET, (), 0.9, Lineage("m", "i", "p", "e", "o")))
    (handoff,) = await SqlHandoffBook(database).page(EVERYWHERE, 10)
    return handoff.handoff_id
