"""A whole Frontdesk on the local Discord: the real discord.py, worker and courier on one database, a small knowledge behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bot.bootstrap import Frontdesk
from bot.bootstrap_discord import discord_of
from bot.discord.parts import DiscordParts
from bot.setting_groups import Discord, Limits
from bot.settings import Settings
from core.dialogue.engine import Engine
from core.domain import Passage
from core.ports import Generator
from core.serving.extractive import ExtractiveGenerator
from core.storage.database import Database
from core.storage.tables import turns
from tests.bot.counter import ARTICLES, AsksForPerson, Shelf, Writer
from tests.servers.discord import DiscordPlatform, pointed_at
from tests.servers.discord_state import GUILD, HELP, SOLVED, TEXT, Channel, Message

STAFF_ROOM = SOLVED + 100
REFUNDS, PARCELS = "how long does a refund take?", "how long does a parcel take?"


@dataclass
class Office:
    """What a test looks at."""

    discord: DiscordPlatform
    graph: Frontdesk
    parts: DiscordParts
    writer: Writer
    shelf: Shelf
    patience: float = 60.0  # seconds; a real model on two busy cores needs most of it

    async def answered(self, count: int = 1) -> None:
        """Wait until so many messages of the bot stand in channels."""
        await self.discord.until(lambda: len(self.discord.by_bot()) >= count, seconds=20)

    async def ask(self, user: int, text: str, channel: int = HELP) -> Message:
        """Somebody mentions the bot, and gets what comes of it."""
        asked = await self.discord.say(user, channel, text, mention=True)
        await self.quiet()
        return asked

    def texts(self, channel: int) -> list[str]:
        """What the bot said in a channel or thread."""
        return [message.content for message in self.discord.by_bot(channel)] if channel in self.discord.channels else []

    async def quiet(self) -> None:
        """Wait until nothing waits: all is heard, every message has its turn, every reply is out, nothing is shown any more."""
        async with asyncio.timeout(self.patience):
            await self.heard()
            while (backlog := await self.graph.inbox.backlog()).waiting or backlog.undelivered:  # noqa: ASYNC110  # the database rings no bell
                await asyncio.sleep(0.02)
            await self.parts.live.idle()
            await self.parts.tags.idle()

    async def heard(self) -> None:
        """Wait until the bot has dealt with whatever the gateway has told it."""
        await self.discord.until(lambda: self.discord.connected)
        await asyncio.gather(*(self._reached(session.id) for session in self.discord.connected))
        while self.parts.gateway.backfill._gaps:  # noqa: ASYNC110  # what comes meanwhile is held back
            await asyncio.sleep(0.02)
        await self.parts.lanes.idle()

    async def _reached(self, session: str) -> None:
        """Wait until the client has read the last frame of its session, and its handlers have begun."""
        while self._sequence() < self.discord.sessions[session].sequence:  # noqa: ASYNC110  # discord.py rings no bell
            await asyncio.sleep(0.005)
        for _ in range(3):
            await asyncio.sleep(0)

    def _sequence(self) -> int:
        shards = self.parts.client.shards.values()
        return min((shard._parent.ws.sequence or 0 for shard in shards), default=0)

    async def turns(self) -> list[dict[str, Any]]:
        """Every turn that was logged, oldest first."""
        async with self.graph.database.read() as connection:
            rows = (await connection.execute(turns.select().order_by(turns.c.answered_at))).mappings().all()
        return [dict(row) for row in rows]


def staff_room(platform: DiscordPlatform) -> None:
    """Open the channel of staff."""
    platform.channels[STAFF_ROOM] = Channel(STAFF_ROOM, TEXT, "staff", GUILD)


@asynccontextmanager
async def office(
    database: Database,
    server: DiscordPlatform,
    gate: asyncio.Event | None = None,
    articles: dict[str, tuple[Passage, float]] | None = None,
    pieces: tuple[str, str] = Writer.pieces,
    generator: Generator | None = None,
    workers: int = 1,
    limits: Limits = Limits(),
    knowledge: Any = None,
    is_open: bool = True,
    apart: float = 0.0,
    **more: Any,
) -> AsyncIterator[Office]:
    """Serve the local Discord until the block ends, unless it is not open; `generator` in place of the writer.

    `generator` stands in for the writer, `knowledge` for the articles, `apart` are the seconds between two sessions of the gateway, `more`
    are settings of Discord.
    """
    settings = Settings(discord=Discord(**{"bot_token": server.token, "message_content": True, **more}), limits=limits)
    graph, writer = Frontdesk(settings, database, lambda said: None), Writer(gate, pieces)
    shelf = knowledge or Shelf(articles or dict(ARTICLES))
    engine = Engine(shelf, AsksForPerson(), generator or writer, ExtractiveGenerator())  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        stack.enter_context(pointed_at(server))
        parts = await stack.enter_async_context(discord_of(graph, shelf, 0.05, apart))  # type: ignore[arg-type]
        adapters = {"discord": parts.adapter}
        running = [*(graph.worker(engine, adapters).run() for _ in range(workers)), graph.courier(adapters).run(), parts.gateway.run()]
        if not is_open:
            for one in running:
                one.close()
            yield Office(server, graph, parts, writer, shelf)
            return
        tasks = [asyncio.create_task(one) for one in running]
        try:
            async with asyncio.timeout(20):
                await parts.client.wait_until_ready()
            yield Office(server, graph, parts, writer, shelf)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
