"""Moments lie apart, whoever takes them."""

from __future__ import annotations

import asyncio

import pytest

from core.storage.database import Database
from core.storage.slots import SqlSlots


async def test_moments_of_a_name_lie_apart_whoever_takes_them(database: Database) -> None:
    first, second = SqlSlots(database), SqlSlots(database)
    waits = sorted(await asyncio.gather(*(one.take("session", 100.0) for one in (first, second, first, second))))
    assert waits == [pytest.approx(place * 100.0, abs=20.0) for place in range(4)]
    assert await first.take("another", 100.0) == 0.0


async def test_a_moment_that_has_passed_is_free(database: Database) -> None:
    slots = SqlSlots(database)
    assert [await slots.take("session", 0.0) for _ in range(2)] == [0.0, 0.0]
