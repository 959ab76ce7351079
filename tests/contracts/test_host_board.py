"""What hosts say of their models is shown while it is fresh, in memory and on every database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
from sqlalchemy import select, update

from core.domain import utc_now
from core.registry import Alias, HostBoard, HostReport, Load, Seat
from core.storage.database import Database
from core.storage.host_board import SqlHostBoard
from core.storage.memory_models import MemoryHostBoard
from core.storage.model_tables import model_hosts

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SEAT = Seat(Alias.CHAMPION, "support@1a2b3c4d5e6f", ready=True, load=Load(3, 8, 57.5))
REPORT = HostReport("host-b", (SEAT, Seat(Alias.CHALLENGER, "x@1", ready=False, load=Load(), problem="no memory")), 7, "serves", LONG_AGO)


class Board(Protocol):
    """A board, and a way to let time pass."""

    board: HostBoard

    async def let_pass(self, seconds: float) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self._ahead = timedelta()
        self.board = MemoryHostBoard(lambda: utc_now() + self._ahead)

    async def let_pass(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)


class InSql:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.board = SqlHostBoard(database)

    async def let_pass(self, seconds: float) -> None:
        async with self._database.write() as connection:
            for host_id, seen_at in (await connection.execute(select(model_hosts.c.host_id, model_hosts.c.seen_at))).all():
                earlier = update(model_hosts).where(model_hosts.c.host_id == host_id)
                await connection.execute(earlier.values(seen_at=seen_at - timedelta(seconds=seconds)))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def here(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> Board:
    return InMemory() if request.param == "memory" else InSql(await open_database(request.param))


async def test_a_report_comes_back_with_the_time_of_the_database_whatever_the_host_believes(here: Board) -> None:
    await here.board.report(REPORT)
    (found,) = await here.board.reports(60)
    assert found._replace(seen_at=LONG_AGO) == REPORT
    assert abs(found.seen_at - utc_now()) < timedelta(seconds=30)


async def test_a_host_has_one_report_the_newest_and_hosts_come_by_name(here: Board) -> None:
    for host_id in ("host-b", "Host-c", "host-a"):
        await here.board.report(REPORT._replace(host_id=host_id))
    await here.board.report(REPORT._replace(followed=8))
    assert [(one.host_id, one.followed) for one in await here.board.reports(60)] == [("Host-c", 7), ("host-a", 7), ("host-b", 8)]


async def test_a_report_is_no_longer_shown_when_it_is_old_and_shown_again_when_the_host_speaks(here: Board) -> None:
    await here.board.report(REPORT)
    await here.let_pass(61)
    assert await here.board.reports(60) == ()
    assert [one.host_id for one in await here.board.reports(120)] == ["host-b"]
    await here.board.report(REPORT)
    assert [one.host_id for one in await here.board.reports(60)] == ["host-b"]


async def test_a_host_that_ends_takes_its_report_back(here: Board) -> None:
    await here.board.report(REPORT)
    await here.board.report(REPORT._replace(host_id="other"))
    await here.board.leave("host-b")
    await here.board.leave("never seen")
    assert [one.host_id for one in await here.board.reports(60)] == ["other"]


async def test_hosts_that_were_killed_are_forgotten_after_a_day(database: Database) -> None:
    here = InSql(database)
    await here.board.report(REPORT)
    await here.let_pass(25 * 60 * 60)
    await here.board.report(REPORT._replace(host_id="alive"))
    assert [one.host_id for one in await here.board.reports(7 * 24 * 60 * 60)] == ["alive"]


async def test_what_a_newer_version_says_besides_is_left_out(database: Database) -> None:
    board = SqlHostBoard(database)
    await board.report(REPORT)
    async with database.write() as connection:
        text = (await connection.execute(select(model_hosts.c.report))).scalar_one()
        newer = text.replace('"waiting"', '"mood": "fine", "waiting"').replace('"ready"', '"colour": "blue", "ready"')
        await connection.execute(update(model_hosts).values(report=newer))
    assert (await board.reports(60))[0].seats == REPORT.seats
