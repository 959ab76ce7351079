"""The chat page on a real socket, with a knowledge of a few fixed answers and a model that says what it is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn
from fastapi import FastAPI

from bot.dispatch import Dispatch
from bot.live import Line, LiveAdapter, Watch
from bot.metrics import Metrics
from bot.web.app import Surroundings, build
from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.worker import Terms, Worker
from core.dialogue.engine import Engine
from core.domain import Hit, Passage, Retrieval
from core.ports import ConversationLog, Generator
from core.serving.canned import CannedGenerator
from core.serving.extractive import ExtractiveGenerator
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox
from core.storage.updates import SqlUpdates


@dataclass
class FixedKnowledge:
    """`Retriever` of fixed scores: a passage answers the questions that hold its id, with the probability told."""

    entries: dict[str, tuple[Passage, float]] = field(default_factory=dict)

    def add(self, passage_id: str, text: str, score: float, title: str = "", url: str | None = None) -> None:
        self.entries[passage_id] = (Passage(passage_id, passage_id, title or f"About {passage_id}", text, url=url), score)

    async def retrieve(self, question: str, limit: int = 5) -> Retrieval:
        if "explode" in question:
            raise RuntimeError("secret-in-a-traceback")
        hits = [Hit(passage, score) for key, (passage, score) in self.entries.items() if key in question]
        return Retrieval(tuple(sorted(hits, key=lambda hit: -hit.score)[:limit]), "index-1", "embedder@1")


class AsksForPerson:
    """`PersonDetector` of one word."""

    async def wants_person(self, text: str) -> bool:
        return "person" in text


@dataclass
class Page:
    """A served chat page and what is behind it."""

    url: str
    knowledge: FixedKnowledge
    log: ConversationLog
    failing: dict[str, str]
    metrics: Metrics
    database: Database

    async def lose_the_inbox(self) -> None:
        """From now on no message can be stored."""
        async with self.database.write() as connection:
            await connection.exec_driver_sql("ALTER TABLE inbox RENAME TO away")


@pytest.fixture
def knowledge() -> FixedKnowledge:
    known = FixedKnowledge()
    known.add("refund", "Refunds take **14 days**.", 0.95, "How long does a refund take?", "https://shop.example/refunds")
    known.add("parcel", "A parcel takes 3 days. It is tracked.", 0.75, "How long does a parcel take?")
    known.add("invoice", "Invoices are in your account.", 0.4, "Where is my invoice?")
    known.add("bill", "Bills are sent by post.", 0.35, "Where is my bill?")
    return known


@pytest.fixture
async def serve(
    knowledge: FixedKnowledge, open_database: Callable[[str], Awaitable[Database]]
) -> AsyncIterator[Callable[[Generator], Awaitable[Page]]]:
    """Gives a page served with a generator; stopped after the test."""
    async with AsyncExitStack() as stack:

        async def served(generator: Generator) -> Page:
            database = await open_database("sqlite")
            log, failing, metrics, adapter = SqlConversationLog(database), dict[str, str](), Metrics(), LiveAdapter("web")
            engine = Engine(knowledge, AsksForPerson(), generator, ExtractiveGenerator())
            inbox, accepted, finished = SqlInbox(database), Bell(), Bell()

            terms = Terms(first_delay=0.01, longest_delay=0.01, drain=0)
            worker = Worker(inbox, log, engine, adapter.preview, accepted, finished, terms)
            await stack.enter_async_context(_in_background(worker.run()))
            await stack.enter_async_context(_in_background(Courier(SqlOutbox(database), {"web": adapter}, finished).run()))
            line = Line(Dispatch(inbox, accepted), inbox, adapter)
            watch = Watch(SqlUpdates(database), adapter, seconds=1.0)
            url = await stack.enter_async_context(_running(_app(line, knowledge, log, failing, metrics, watch)))
            return Page(url, knowledge, log, failing, metrics, database)

        yield served


@pytest.fixture
async def page(serve: Callable[[Generator], Awaitable[Page]]) -> Page:
    """A page whose model quotes the parcel passage."""
    return await serve(CannedGenerator(*["A parcel takes 3 days. It is tracked. [1]"] * 20))


@asynccontextmanager
async def _in_background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def _app(line: Line, knowledge: FixedKnowledge, log: ConversationLog, failing: dict[str, str], metrics: Metrics, watch: Watch) -> FastAPI:
    async def passage(passage_id: str) -> Passage | None:
        return knowledge.entries[passage_id][0] if passage_id in knowledge.entries else None

    async def suggestions(count: int) -> tuple[str, ...]:
        return tuple(passage.title for passage, _ in knowledge.entries.values())[:count]

    async def health() -> dict[str, str]:
        return failing

    return build(Surroundings(line, log, passage, suggestions, lambda: "canned", watch.updates), health, metrics.exposition)


class _running:  # noqa: N801  # reads as a word: `async with _running(...)`
    """Serves on a free port of the loopback until the block ends."""

    def __init__(self, app: FastAPI) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))

    async def __aenter__(self) -> str:
        self._task = asyncio.create_task(self._server.serve([self._listener]))
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"  # connections wait in the listener until it accepts

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._task
