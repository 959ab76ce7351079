"""A console on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from core.storage.database import Database
from tests.bot.console.desk import Desk, desk_on


@pytest.fixture
async def desk(open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Desk]:
    """A console on SQLite; its clients are closed after the test."""
    opened = desk_on(await open_database("sqlite"))
    yield opened
    for client in opened.clients:
        await client.aclose()
