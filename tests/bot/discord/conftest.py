"""The local Discord of one test, with the bot behind it and an SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest

from core.storage.database import Database
from tests.bot.discord.desk import Counter, counter
from tests.bot.discord.office import Office, office, staff_room
from tests.servers.discord import DiscordPlatform, pointed_at


class OpenOffice(Protocol):
    """Opens the office, and closes it after the test; `platform` are options of the local Discord, the others those of `office`."""

    async def __call__(self, platform: dict[str, Any] | None = None, **options: Any) -> Office: ...


@pytest.fixture
async def open_office(open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[OpenOffice]:
    async with AsyncExitStack() as stack:

        async def opened(platform: dict[str, Any] | None = None, **options: Any) -> Office:
            server = await stack.enter_async_context(DiscordPlatform(**(platform or {})))
            staff_room(server)
            return await stack.enter_async_context(office(await open_database("sqlite"), server, **options))

        yield opened


@pytest.fixture
async def server() -> AsyncIterator[DiscordPlatform]:
    async with asyncio.timeout(60), DiscordPlatform() as started:
        with pointed_at(started):
            yield started


@pytest.fixture
async def desk(server: DiscordPlatform, open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Counter]:
    async with counter(await open_database("sqlite"), server) as opened:
        yield opened
