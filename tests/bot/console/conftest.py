"""A console on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Browser

from core.storage.database import Database
from tests.bot.console.browsing import chromium_browser, serving
from tests.bot.console.desk import Desk, desk_on


@pytest.fixture
async def desk(open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Desk]:
    """A console on SQLite; its clients are closed after the test."""
    opened = desk_on(await open_database("sqlite"))
    yield opened
    for client in opened.clients:
        await client.aclose()


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """Chromium without a screen."""
    async with chromium_browser() as opened:
        yield opened


@pytest.fixture
async def url(desk: Desk) -> AsyncIterator[str]:
    """The console on a real socket."""
    async with serving(desk.app) as address:
        yield address
