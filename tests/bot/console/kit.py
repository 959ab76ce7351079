"""What tests of corrections and knowledge put into a console: questions that were asked, and a knowledge base."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from core.corrections import Cause, Correction, CorrectionDraft
from core.domain import Actor, Address, Citation, Decision, Hit, InboundMessage, Lineage, Passage, Reason, Reply
from core.knowledge import KnowledgeStore
from core.members import EVERYWHERE
from core.ports import Embedder
from core.staff.corrections import Corrections
from core.staff.library import Library
from core.staff.releases import Progress, Releases
from core.staff.unanswered import Unanswered
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.unanswered import SqlUnansweredLog
from core.text import words
from retrieval.grouping import Grouper
from tests.bot.console.desk import Desk, desk_on
from tests.retrieval.simple import WordEmbedder

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


@dataclass
class Press:
    """Publishing that takes two steps, the second when it is let go on."""

    store: KnowledgeStore
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0
    printed: dict[str, tuple[Passage, ...]] = field(default_factory=dict)

    async def shown(self) -> tuple[Passage, ...]:
        return self.printed.get(await self.store.active(KNOWLEDGE) or "", ())

    async def publish(self, knowledge: str, actor: str, progress: Progress) -> str:
        progress("embed", 120, 400)
        await self.go_on.wait()
        self.count += 1
        version = f"{self.count:04}c0ffee12"
        self.printed[version] = await self.store.passages(knowledge)
        await self.store.add_release(knowledge, version, len(self.printed[version]), "words@1", actor)
        return version


class Searched:
    """Retrieval that counts shared words in what is kept, and a grouping by them."""

    def __init__(self, store: KnowledgeStore) -> None:
        self._store = store
        self._embedder = WordEmbedder()
        self.grouper = Grouper(self._words)

    async def _words(self) -> Embedder:
        return self._embedder

    async def find(self, question: str) -> tuple[Hit, ...]:
        asked = set(words(question))
        kept = await self._store.passages(KNOWLEDGE)
        shares = [(len(asked & set(words(f"{one.title} {one.text}"))) / max(1, len(asked)), one) for one in kept]
        best = sorted((pair for pair in shares if pair[0] > 0), key=lambda pair: -pair[0])[:5]
        return tuple(Hit(one, share) for share, one in best)


@asynccontextmanager
async def learning_desk(database: Database) -> AsyncIterator[tuple[Desk, Press]]:
    """Give a console that finds passages and publishes, in place of one that has no embedder."""
    desk = desk_on(database)
    store, audit = desk.graph.knowledge_store, desk.graph.audit_log

    async def served() -> str:
        return KNOWLEDGE

    press, searched = Press(store), Searched(store)
    releases = Releases(store, audit, press.publish)
    unanswered = Unanswered(SqlUnansweredLog(database), searched.grouper, searched.find, 0.9)
    desk.console.state.console = replace(
        desk.console.state.console, library=Library(store, served, releases, unanswered, press.shown, searched.find, audit)
    )
    task = asyncio.create_task(releases.run())
    yield desk, press
    task.cancel()
    await asyncio.wait([task])
