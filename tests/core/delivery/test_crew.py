"""A crew does what it claims, so many at a time, and when it is cancelled it leaves nothing half done."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field

import pytest

from core.delivery import crew
from core.delivery.crew import Bell, Crew, backoff
from core.errors import StorageError
from tests.core.delivery.scripted import Journal, in_background


@dataclass
class Shop:
    """Pieces of work to claim, and doing them: each waits until its piece is let go."""

    journal: Journal = field(default_factory=Journal)
    pieces: deque[str | Exception] = field(default_factory=deque)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    claiming: asyncio.Event = field(default_factory=asyncio.Event)  # set: a claim takes no time
    at_work: int = 0
    most: int = 0
    bell: Bell = field(default_factory=Bell)

    def __post_init__(self) -> None:
        self.claiming.set()

    async def claim(self) -> str | None:
        self.journal.note("claims")
        await self.claiming.wait()
        if not self.pieces:
            return None
        piece = self.pieces.popleft()
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def do(self, piece: str) -> None:
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        self.journal.note(f"{piece} began")
        try:
            await self.go.wait()
            if piece == "broken":
                raise RuntimeError("a bug")
            self.journal.note(f"{piece} done")
        except asyncio.CancelledError:
            self.journal.note(f"{piece} given back")
            raise
        finally:
            self.at_work -= 1

    def crew(self, at_once: int = 4, drain_seconds: float = 0) -> Crew[str]:
        return Crew(self.claim, self.do, self.bell, at_once=at_once, drain_seconds=drain_seconds)


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def test_no_more_pieces_run_than_there_is_room_for_and_all_get_done(shop: Shop) -> None:
    shop.pieces.extend("abcdefgh")
    async with in_background(shop.crew(at_once=3).run()):
        await shop.journal.has("c began")
        shop.go.set()
        for piece in "abcdefgh":
            await shop.journal.has(f"{piece} done")
    assert shop.most == 3


async def test_the_bell_wakes_the_crew_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "IDLE_SECONDS", 3600.0)
    async with in_background(shop.crew().run()):
        await shop.journal.has("claims")
        shop.pieces.append("a")
        shop.bell.ring()
        await shop.journal.has("a began")


async def test_a_ring_while_the_crew_looks_is_not_missed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "IDLE_SECONDS", 3600.0)
    shop.claiming.clear()
    async with in_background(shop.crew().run()):
        await shop.journal.has("claims")
        shop.bell.ring()
        shop.claiming.set()
        await shop.journal.has("claims", times=2)


async def test_without_a_bell_work_of_another_process_is_noticed_soon(shop: Shop) -> None:
    async with in_background(shop.crew().run()):
        await shop.journal.has("claims", times=2)
        shop.pieces.append("a")
        await shop.journal.has("a began")


async def test_while_the_database_is_away_it_asks_again_and_says_so(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(crew, "_STORAGE_SECONDS", 0.01)
    shop.pieces.extend([StorageError("The database is away."), StorageError("The database is away."), "a"])
    async with in_background(shop.crew().run()):
        await shop.journal.has("a began")
    assert caplog.messages.count("The database is away. Trying again.") == 2


async def test_any_other_failure_to_claim_ends_the_crew_after_what_runs(shop: Shop) -> None:
    shop.pieces.extend(["a", RuntimeError("a bug")])
    shop.go.set()
    with pytest.raises(RuntimeError, match="a bug"):
        await shop.crew(drain_seconds=20).run()
    assert "a done" in shop.journal.entries


async def test_a_piece_that_raises_is_reported_and_its_room_is_free_again(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.pieces.extend(["broken", "a"])
    shop.go.set()
    async with in_background(shop.crew(at_once=1).run()):
        await shop.journal.has("a done")
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


async def test_cancelled_it_claims_no_more_and_what_runs_is_finished(shop: Shop) -> None:
    shop.pieces.extend(["a", "b"])
    async with in_background(shop.crew(at_once=3, drain_seconds=20).run()) as running:
        await shop.journal.has("b began")
        running.cancel()
        await asyncio.wait([running], timeout=0)
        shop.pieces.append("c")
        shop.bell.ring()
        shop.go.set()
        await asyncio.wait([running])
    assert {"a done", "b done"} <= set(shop.journal.entries)
    assert list(shop.pieces) == ["c"]


async def test_what_does_not_end_in_time_is_given_back(shop: Shop) -> None:
    shop.pieces.append("a")
    async with in_background(shop.crew(drain_seconds=0.01).run()) as running:
        await shop.journal.has("a began")
        running.cancel()
        await asyncio.wait([running])
    assert shop.journal.entries[-1] == "a given back"


async def test_a_claim_that_was_under_way_when_the_cancellation_came_is_not_lost(shop: Shop) -> None:
    shop.claiming.clear()
    shop.pieces.append("a")
    shop.go.set()
    async with in_background(shop.crew(drain_seconds=20).run()) as running:
        await shop.journal.has("claims")
        running.cancel()
        await asyncio.wait([running], timeout=0)
        shop.claiming.set()
        await asyncio.wait([running])
    assert shop.journal.entries == ["claims", "a began", "a done"]


async def test_a_claim_that_fails_while_the_cancellation_waits_for_it_does_not_swallow_the_cancellation(shop: Shop) -> None:
    shop.claiming.clear()
    shop.pieces.extend([StorageError("The database is away."), "a"])
    async with in_background(shop.crew(drain_seconds=20).run()) as running:
        await shop.journal.has("claims")
        running.cancel()
        await asyncio.wait([running], timeout=0)
        shop.claiming.set()
        await asyncio.wait([running])
    assert running.cancelled()
    assert list(shop.pieces) == ["a"]


def test_delays_double_up_to_a_limit_and_are_spread() -> None:
    for attempts, longest in ((1, 2.0), (2, 4.0), (3, 8.0), (9, 10.0), (5000, 10.0)):
        delays = [backoff(attempts, 2.0, 10.0) for _ in range(300)]
        assert 0 <= min(delays) < longest / 3
        assert longest * 2 / 3 < max(delays) <= longest
