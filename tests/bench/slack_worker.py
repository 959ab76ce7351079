"""Processes of the kill test on Slack: one that answers, and one that takes what Slack sends, over HTTP or Socket Mode."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiosqlite  # noqa: F401  # these are imported when they are first needed: in every process that is forked, unless it was done before
import asyncpg  # noqa: F401
import numpy as np
import slack_bolt.adapter.starlette.async_handler  # noqa: F401
import slack_sdk.socket_mode.aiohttp  # noqa: F401
import sqlalchemy.dialects.postgresql.asyncpg
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401
import uvicorn
from threadpoolctl import threadpool_limits

from bot.bootstrap import Frontdesk
from bot.bootstrap_slack import slack_of
from bot.settings import Settings
from bot.slack.adapter import SlackAdapter
from bot.slack.http import PATH
from bot.slack.parts import SlackParts
from bot.web.app import build
from core.delivery import courier, worker
from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.worker import Worker
from core.domain import Exchange, InboundMessage, Passage, Reply
from core.ports import ChatAdapter, Delivery
from core.storage.database import Database
from tests.bench.delivery_worker import LEASE_SECONDS, Echo
from tests.servers.chat import QuietServer, listening

BREAKAGES = ("none", "look")
SLOW_SHARE, SLOW_SECONDS = 0.1, 1.8  # answers that take long enough for their preview to be edited


class NoArticles:
    """Knowledge that nobody cites."""

    async def passage(self, passage_id: str) -> Passage | None:
        return None

    async def titles(self, count: int) -> tuple[str, ...]:
        return ()


class Aloud(Echo):
    """Says every line again while it is written, then all of them."""

    async def reply(self, message: InboundMessage, history: tuple[Exchange, ...] = (), preview: object = None) -> Reply:
        show: Callable[[str], Awaitable[None]] = preview  # type: ignore[assignment]
        await show("")
        pause = SLOW_SECONDS if random.random() < SLOW_SHARE else 0.0
        for line in message.text.split("\n"):
            await show(line)
            await asyncio.sleep(pause)
        await show("and so on")
        return await super().reply(message, history)


class Forgetful:
    """`ChatAdapter` of Slack that sends again without looking whether the first attempt arrived."""

    platform = SlackAdapter.platform

    def __init__(self, adapter: SlackAdapter) -> None:
        self.send, self.preview = adapter.send, adapter.preview

    async def find(self, delivery: Delivery) -> str | None:
        return None


def work(database_url: str, settings: Settings, previews: bool, broken: str) -> None:
    """Answer until killed."""
    asyncio.run(_work(database_url, settings, previews, broken))


def serve(database_url: str, settings: Settings, port: int, is_busy: bool = False) -> None:
    """Take events until killed: signed ones on `port`, or over Socket Mode where there is an app-level token."""
    if is_busy:
        threading.Thread(target=multiply, daemon=True).start()
    asyncio.run(_serve(database_url, settings, port))


def multiply() -> None:
    """Keep one core as busy as a model does: products of matrices, during which other threads run."""
    matrix = np.ones((1024, 1024), np.float32)
    with threadpool_limits(1):
        while True:
            np.dot(matrix, matrix)


async def _work(database_url: str, settings: Settings, previews: bool, broken: str) -> None:
    worker_terms = worker.Terms(lease=LEASE_SECONDS, renew=LEASE_SECONDS / 4, max_attempts=1000, at_once=8)
    courier_terms = courier.Terms(lease=LEASE_SECONDS, call=LEASE_SECONDS / 3, max_attempts=1000, at_once=8, longest_delay=1)
    accepted, finished = Bell(), Bell()
    async with _slack(database_url, settings) as (graph, parts), asyncio.TaskGroup() as tasks:
        adapter: ChatAdapter = Forgetful(parts.adapter) if broken == "look" else parts.adapter
        dialogue = Aloud() if previews else Echo()
        answering = Worker(graph.inbox, graph.conversation_log, dialogue, adapter.preview, accepted, finished, worker_terms)
        tasks.create_task(answering.run())
        tasks.create_task(Courier(graph.outbox, {adapter.platform: adapter}, finished, courier_terms).run())


async def _serve(database_url: str, settings: Settings, port: int) -> None:
    async with _slack(database_url, settings) as (graph, parts):
        if parts.socket is not None:
            await parts.socket.run()
            return

        async def health() -> dict[str, str]:
            return {"slack": parts.problem} if parts.problem else {}

        assert parts.endpoint is not None
        app = build(None, health, lambda: graph.metrics.exposition(graph.inbox.backlog), {PATH: parts.endpoint})
        await QuietServer(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")).serve([listening(port)])


@asynccontextmanager
async def _slack(database_url: str, settings: Settings) -> AsyncIterator[tuple[Frontdesk, SlackParts]]:
    logging.basicConfig(level=logging.ERROR)  # what faults cause is told as warnings, hundreds of them
    graph = Frontdesk(settings, Database(database_url), lambda said: None)
    async with slack_of(graph, NoArticles()) as parts:  # type: ignore[arg-type]
        yield graph, parts
