"""A desk of one test: the local Discord, the bot and an SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from core.storage.database import Database
from tests.bot.discord.desk import Counter, counter
from tests.servers.discord import DiscordPlatform, pointed_at


@pytest.fixture
async def server() -> AsyncIterator[DiscordPlatform]:
    async with asyncio.timeout(60), DiscordPlatform() as started:
        with pointed_at(started):
            yield started


@pytest.fixture
async def desk(server: DiscordPlatform, open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Counter]:
    async with counter(await open_database("sqlite"), server) as opened:
        yield opened
