"""What contract suites share: a counter of each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from core.storage.database import Database
from tests.contracts.counter import Counter, MemoryCounter, SqlCounter


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def counter(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> Counter:
    """Where people ask, once in memory and once on each kind of database."""
    return MemoryCounter() if request.param == "memory" else SqlCounter(await open_database(request.param))
