"""A whole Frontdesk on the local Slack: the real Bolt app, worker and courier on one database, a small knowledge behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from bot.bootstrap import Frontdesk
from bot.bootstrap_slack import slack_of
from bot.setting_groups import Limits, Slack
from bot.settings import Settings
from bot.slack.http import PATH
from bot.slack.parts import SlackParts
from bot.web.app import build
from core.dialogue.engine import Engine
from core.domain import Passage
from core.ports import Generator
from core.serving.extractive import ExtractiveGenerator
from core.storage.audit import SqlAuditLog
from core.storage.database import Database
from core.storage.tables import turns
from tests.bot.counter import ARTICLES, AsksForPerson, Shelf, Writer
from tests.servers.chat import QuietServer, listening
from tests.servers.slack import SlackPlatform

ANN, BOB, BOT = "U0ANN", "U0BOB", "U0BOT"
HELP, DIRECT, STAFF_ROOM = "C0HELP", "D0ANN", "C0STAFF"


@dataclass
class Office:
    """What a test looks at."""

    slack: SlackPlatform
    graph: Frontdesk
    parts: SlackParts
    writer: Writer
    shelf: Shelf
    patience: float = 60.0  # seconds; a real model on two busy cores needs most of it

    async def answered(self, count: int = 1) -> None:
        """Wait until so many messages of the bot stand in channels."""
        await self.slack.until(lambda: len(self.slack.by_bot()) >= count, seconds=20)

    def texts(self, channel: str, thread: str) -> list[str]:
        """What the bot said in a thread, each message as one text of its sections."""
        return [said(message) for message in self.slack.thread(channel, thread) if message.user == BOT]

    async def quiet(self) -> None:
        """Wait until nothing waits: every message has its turn, every reply is out, nothing is shown any more."""
        async with asyncio.timeout(self.patience):
            await self.sent()
            await asyncio.gather(*self.parts.adapter._live._tasks)

    async def sent(self) -> None:
        """Wait until every message has its turn and every reply is out; what is shown may be on its way still."""
        while (backlog := await self.graph.inbox.backlog()).waiting or backlog.undelivered:  # noqa: ASYNC110  # the database rings no bell
            await asyncio.sleep(0.02)  # another process may be the one that works

    async def audited(self) -> list[tuple[str, str, str]]:
        """Who did what, and what came of it, oldest first."""
        entries = await SqlAuditLog(self.graph.database).entries(100)
        return [(entry.actor, entry.action, entry.result) for entry in reversed(entries)]

    async def turns(self) -> list[dict[str, Any]]:
        """Every turn that was logged, oldest first."""
        async with self.graph.database.read() as connection:
            rows = (await connection.execute(turns.select().order_by(turns.c.answered_at))).mappings().all()
        return [dict(row) for row in rows]


def said(message: Any) -> str:
    """The words of a message as a reader sees them: its sections, without buttons."""
    blocks = message.blocks or []
    words = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    return "\n".join(words) or message.text


def slack_settings(server: SlackPlatform, **more: str) -> Slack:
    """How to reach the local Slack: over its transport; with a client id instead of the token of one workspace."""
    transport = {"app_token": server.app_token} if server.transport == "socket" else {"signing_secret": server.signing_secret}
    token = {} if "client_id" in more else {"bot_token": server.bot_token}
    return Slack(api_url=f"{server.url}/api/", **token, **transport, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def office(
    database: Database,
    server: SlackPlatform,
    gate: asyncio.Event | None = None,
    articles: dict[str, tuple[Passage, float]] | None = None,
    pieces: tuple[str, str] = Writer.pieces,
    generator: Generator | None = None,
    workers: int = 1,
    limits: Limits = Limits(),
    knowledge: Any = None,
    **more: str,
) -> AsyncIterator[Office]:
    """Serve the local Slack until the block ends; `generator` in place of the writer, `knowledge` of the articles, `more` are settings."""
    settings = Settings(slack=slack_settings(server, **more), limits=limits)
    graph, writer = Frontdesk(settings, database, lambda said: None), Writer(gate, pieces)
    shelf = knowledge or Shelf(articles or dict(ARTICLES))
    engine = Engine(shelf, AsksForPerson(), generator or writer, ExtractiveGenerator())  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(slack_of(graph, shelf))  # type: ignore[arg-type]
        adapters = {"slack": parts.adapter}
        running = [*(graph.worker(engine, adapters).run() for _ in range(workers)), graph.courier(adapters).run()]
        if parts.socket is not None:
            running.append(parts.socket.run())
        else:
            await stack.enter_async_context(_served(server, graph, parts))
        tasks = [asyncio.create_task(one) for one in running]
        try:
            if parts.socket is not None:
                await server.until(lambda: len(server.links) >= 2)
            yield Office(server, graph, parts, writer, shelf)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


@asynccontextmanager
async def _served(server: SlackPlatform, graph: Frontdesk, parts: SlackParts) -> AsyncIterator[None]:
    async def health() -> dict[str, str]:
        return {"slack": parts.problem} if parts.problem else {}

    async def metrics() -> bytes:
        return await graph.metrics.exposition(graph.inbox.backlog)

    assert parts.endpoint is not None
    listener = listening(0)
    server.events_url = f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"
    app = build(None, health, metrics, {PATH: parts.endpoint}, parts.pages)
    web = QuietServer(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(web.serve([listener]))
    try:
        yield
    finally:
        web.should_exit = True
        await task
