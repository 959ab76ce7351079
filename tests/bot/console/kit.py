"""What tests of corrections and knowledge put into a console: questions that were asked, and a knowledge base."""

from __future__ import annotations

from dataclasses import replace

from core.corrections import Cause, Correction, CorrectionDraft
from core.domain import Actor, Address, Citation, Decision, InboundMessage, Lineage, Passage, Reason, Reply
from core.members import EVERYWHERE
from core.staff.corrections import Corrections
from core.storage.inbox import SqlInbox
from tests.bot.console.desk import Desk

HERE = Address("slack", "T1", "C1", "1")
PARCEL = Passage("parcel", "parcel", "How long does a parcel take?", "A parcel takes 3 days.", ("Parcel?",), "https://shop.example/parcel")
REPLY = Reply(
    Decision.DIRECT, Reason.CONFIDENT, PARCEL.text, (Citation("parcel", PARCEL.title, None, 0.9),), 0.9, Lineage("m", "i", "p", "e", "o")
)
NO_ANSWER = Reply(Decision.HANDOFF, Reason.LOW_CONFIDENCE, "A person will help.", (), 0.1, Lineage("none", "i", "p", "e", "o"))
KNOWLEDGE = "sample"  # what is served where nothing else is kept


async def ask(
    desk: Desk, text: str = "how long does a parcel take", reply: Reply = REPLY, address: Address = HERE, actor: str = "ann"
) -> str:
    """Ask, have it answered, and return the turn id."""
    inbox = SqlInbox(desk.graph.database)
    await inbox.accept(InboundMessage(f"m-{address.thread_id}-{text[:60]}", address, Actor(actor), text))
    claim = await inbox.claim(60)
    assert claim is not None
    return await inbox.finish(claim, reply)


async def fill(desk: Desk, *passages: Passage) -> None:
    """Keep passages as if they had come from a file."""
    await desk.graph.knowledge_store.replace_source(KNOWLEDGE, "/tmp/faq.csv", passages or (PARCEL,), keep_missing=lambda: True)


async def propose(desk: Desk, turn_id: str | None = None, **more: object) -> Correction:
    """Propose a correction as somebody of Slack, and return it."""
    draft = CorrectionDraft(turn_id, "How long does a parcel take?", "A parcel takes 4 days.", Cause.WRONG_TEXT, "slack:T1:U1", "slack")
    found = await corrections(desk).store.get(await corrections(desk).propose(replace(draft, **more)), EVERYWHERE)  # type: ignore[arg-type]
    assert found is not None
    return found


def corrections(desk: Desk) -> Corrections:
    """The service behind the pages."""
    from bot.bootstrap_corrections import corrections_of

    return corrections_of(desk.graph)
