"""A process of the kill test: a worker and a courier on one database, with a dialogue that repeats what it was told."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from pathlib import Path

from core.delivery import courier, worker
from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.worker import Worker
from core.domain import Decision, Exchange, InboundMessage, Lineage, Reason, Reply
from core.ports import ChatAdapter, Delivery
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.knowledge_store import SqlKnowledgeStore
from core.storage.outbox import SqlOutbox
from retrieval.retriever import SnapshotRetriever
from tests.retrieval.simple import KNOWLEDGE, TOPICS, WordEmbedder
from tests.servers.chat_adapter import HttpChatAdapter

logger = logging.getLogger(__name__)

LEASE_SECONDS = 3.0  # a minute in service; here so that takeovers happen within the trial
BREAKAGES = ("none", "fencing", "look")  # what may be left out, to show that the trial notices


class Echo:
    """`Responder` that says the message again, after as long as a quick model takes."""

    async def reply(self, message: InboundMessage, history: tuple[Exchange, ...] = (), preview: object = None) -> Reply:
        await asyncio.sleep(random.uniform(0, 0.05))
        return _reply(message.text)

    def apology(self) -> Reply:
        return _reply("Sorry.")


class LookingUp(Echo):
    """Looks every message up in the served snapshot too, and says in the lineage which one that was."""

    def __init__(self, retriever: SnapshotRetriever) -> None:
        self._retriever = retriever

    async def reply(self, message: InboundMessage, history: tuple[Exchange, ...] = (), preview: object = None) -> Reply:
        found = await self._retriever.retrieve(f"How does the {TOPICS[len(message.text) % len(TOPICS)]} work?")
        reply = await super().reply(message)
        return replace(reply, hits=found.hits, lineage=replace(reply.lineage, index=found.index_version))


class ForgetfulAdapter(HttpChatAdapter):
    """Sends again without looking whether the first attempt arrived."""

    async def find(self, delivery: Delivery) -> str | None:
        return None


class UnfencedInbox(SqlInbox):
    """Accepts writes of whoever once held the lease."""

    async def finish(self, claim: object, reply: Reply) -> str:
        from sqlalchemy import update

        from core.storage.tables import conversations

        async with self._database.write() as connection:
            where = conversations.c.conversation_id == claim.conversation_id  # type: ignore[attr-defined]
            await connection.execute(update(conversations).where(where).values(lease=claim.lease))  # type: ignore[attr-defined]
        return await super().finish(claim, reply)  # type: ignore[arg-type]


def run(database_url: str, chat_url: str, broken: str, knowledge: str = "") -> None:
    """Work until killed."""
    asyncio.run(_work(database_url, chat_url, broken, knowledge))


async def _work(database_url: str, chat_url: str, broken: str, knowledge: str) -> None:
    database, accepted, finished = Database(database_url), Bell(), Bell()
    inbox = UnfencedInbox(database) if broken == "fencing" else SqlInbox(database)
    adapter: ChatAdapter = ForgetfulAdapter(chat_url) if broken == "look" else HttpChatAdapter(chat_url)
    worker_terms = worker.Terms(lease=LEASE_SECONDS, renew=LEASE_SECONDS / 4, max_attempts=1000, at_once=8)
    courier_terms = courier.Terms(lease=LEASE_SECONDS, call=LEASE_SECONDS / 3, max_attempts=1000, at_once=8, longest_delay=1)
    retriever = SnapshotRetriever(SqlKnowledgeStore(database), Path(knowledge), KNOWLEDGE, WordEmbedder)
    async with asyncio.TaskGroup() as tasks:
        if knowledge:
            tasks.create_task(retriever.watch(0.5, lambda error: logger.warning("%s", error)))
        dialogue = LookingUp(retriever) if knowledge else Echo()
        answering = Worker(inbox, SqlConversationLog(database), dialogue, adapter.preview, accepted, finished, worker_terms)
        tasks.create_task(answering.run())
        tasks.create_task(Courier(SqlOutbox(database), {adapter.platform: adapter}, finished, courier_terms).run())


def _reply(text: str) -> Reply:
    return Reply(Decision.DIRECT, Reason.CONFIDENT, text, (), 1.0, Lineage("echo", "", "", "", ""))
