"""What contract suites share: a counter of each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.storage.database import Database
from tests.contracts.counter import Counter, MemoryCounter, SqlCounter


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def counter(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> Counter:
    """Where people ask, once in memory and once on each kind of database."""
    return MemoryCounter() if request.param == "memory" else SqlCounter(await open_database(request.param))


@pytest.fixture
def explained() -> Callable[[Database, Any], Awaitable[list[str]]]:
    """Gives the steps of SQLite's plan for a query."""

    async def steps(database: Database, query: Any) -> list[str]:
        compiled = query.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True})
        async with database.read() as connection:
            return [row[-1] for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]

    return steps
