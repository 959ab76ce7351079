"""How far each channel was heard is kept and never goes back, in memory and on every database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.positions import Position, Positions
from core.storage.database import Database
from core.storage.memory_staff import MemoryPositions
from core.storage.positions import SqlPositions

BIG = 2**63 - 1  # ids of Discord have 64 bits


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def positions(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> Positions:
    return MemoryPositions() if request.param == "memory" else SqlPositions(await open_database(request.param))


async def test_a_position_moves_on_and_never_back(positions: Positions) -> None:
    for message_id in (5, BIG, 7):
        await positions.advance("test", {"c": Position("w", message_id)})
    await positions.advance("test", {})
    await positions.advance("other", {"c": Position("w", 1)})
    assert dict(await positions.all("test", 10)) == {"c": Position("w", BIG)}


async def test_the_channels_that_spoke_last_come_first(positions: Positions) -> None:
    await positions.advance("test", {str(number): Position("w", number) for number in range(1, 6)})
    assert list(await positions.all("test", 2)) == ["5", "4"]


async def test_two_processes_that_heard_the_same_keep_the_later(positions: Positions) -> None:
    heard = ({str(channel): Position("w", channel + step) for channel in range(20)} for step in range(1, 6))
    await asyncio.gather(*(positions.advance("test", one) for one in heard))
    assert {name: one.message_id for name, one in (await positions.all("test", 99)).items()} == {str(one): one + 5 for one in range(20)}
