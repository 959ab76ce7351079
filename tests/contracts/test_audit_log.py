"""The audit log keeps every entry in one chain, whoever writes at once, and shows what was tampered with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import delete, update

from core.audit import AuditLog, Filter
from core.domain import utc_now
from core.storage.audit import SqlAuditLog
from core.storage.database import Database
from core.storage.memory_records import MemoryAuditLog
from core.storage.staff_tables import audit


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def log(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> AuditLog:
    return MemoryAuditLog() if request.param == "memory" else SqlAuditLog(await open_database(request.param))


@pytest.fixture
def kept(database: Database) -> SqlAuditLog:
    return SqlAuditLog(database)


async def fill(log: AuditLog, count: int) -> list[int]:
    return [await log.record("ann", "models.reload", "answers", "done", number=number) for number in range(count)]


async def test_an_entry_says_who_did_what_to_what_with_which_result_and_when(log: AuditLog) -> None:
    before = utc_now()
    audit_id = await log.record("slack:W1:U1", "channel.mode", "slack:W1:C1", "done", old=None, new="draft", hits=[1, 2.5])
    (entry,) = await log.entries(10)
    assert (entry.audit_id, entry.actor, entry.action, entry.target, entry.result) == (
        audit_id, "slack:W1:U1", "channel.mode", "slack:W1:C1", "done",
    )  # fmt: skip
    assert entry.detail == {"old": None, "new": "draft", "hits": [1, 2.5]}
    assert abs((entry.at - before).total_seconds()) < 5


async def test_entries_come_newest_first_page_by_page(log: AuditLog) -> None:
    ids = await fill(log, 5)
    first = await log.entries(2)
    assert [entry.detail["number"] for entry in first] == [4, 3]
    assert [entry.audit_id for entry in await log.entries(2, before=first[-1].audit_id)] == [ids[2], ids[1]]
    assert await log.entries(2, before=ids[0]) == ()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(actor="ann"), ["models.reload", "knowledge.publish"]),
        (Filter(action="models."), ["models.promote", "models.reload"]),
        (Filter(result="denied"), ["models.promote"]),
        (Filter(text="BASIC"), ["knowledge.publish"]),
        (Filter(text="100%"), ["models.promote"]),
        (Filter(text="1_0"), []),
        (Filter(actor="bob", action="knowledge"), []),
    ],
    ids=str,
)
async def test_entries_are_found_by_who_what_and_how_it_went(log: AuditLog, wanted: Filter, found: list[str]) -> None:
    await log.record("ann", "models.reload", "answers", "done")
    await log.record("bob", "models.promote", "m@1", "denied", share="100%")
    await log.record("ann", "knowledge.publish", "basics", "done")
    assert sorted(entry.action for entry in await log.entries(10, wanted=wanted)) == sorted(found)
    assert await log.entries(10, before=1, wanted=wanted) == ()


async def test_what_nobody_touched_is_well_and_so_is_an_empty_log(log: AuditLog) -> None:
    assert await log.verify() is None
    await fill(log, 3)
    assert await log.verify() is None


async def test_hostile_texts_are_kept_clean_and_the_chain_holds(log: AuditLog) -> None:
    await log.record("a\x00\ud800'; DROP TABLE audit; --", "x" * 500, "\u202et", "r" * 500, note="\x00\ud800\U0010ffff", none=float("nan"))
    (entry,) = await log.entries(1)
    assert (entry.actor, len(entry.action), entry.target, len(entry.result)) == ("a'; DROP TABLE audit; --", 60, "t", 40)
    assert entry.detail["note"] == "\x00\ud800\U0010ffff"
    assert await log.verify() is None


async def test_twenty_writers_at_once_make_one_chain(log: AuditLog) -> None:
    await asyncio.gather(*(log.record(f"writer-{number}", "a", "t", "done") for number in range(20)))
    assert {entry.actor for entry in await log.entries(50)} == {f"writer-{number}" for number in range(20)}
    assert await log.verify() is None


async def test_writers_of_several_processes_make_one_chain(database: Database, kept: SqlAuditLog) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    others = [Database(url) for _ in range(3)]
    logs = [kept, *map(SqlAuditLog, others)]
    await asyncio.gather(*(log.record("ann", "a", "t", "done") for log in logs for _ in range(10)))
    assert len(await kept.entries(100)) == 40
    assert await kept.verify() is None
    for other in others:
        await other.close()


async def test_something_is_started_only_so_often_within_a_time_even_all_at_once(log: AuditLog) -> None:
    await log.record("ann", "reload", "answers", "done")
    started = await asyncio.gather(*(log.start("ann", "reload", "answers", limit=5, seconds=3600) for _ in range(8)))
    assert sum(started) == 5
    assert await log.start("ann", "rollback", "answers", limit=5, seconds=3600)
    assert await log.start("ann", "reload", "answers", limit=5, seconds=-1)
    assert [entry.result for entry in await log.entries(50)].count("started") == 7


@pytest.mark.parametrize("column", ["at", "actor", "action", "target", "result", "detail", "previous", "hash"])
async def test_whatever_is_changed_is_found(column: str, database: Database, kept: SqlAuditLog) -> None:
    ids = await fill(kept, 5)
    value = utc_now() if column == "at" else "0" * 40
    async with database.write() as connection:
        await connection.execute(update(audit).where(audit.c.audit_id == ids[2]).values({column: value}))
    assert await kept.verify() == ids[2]


async def test_an_entry_that_is_taken_out_is_missed_by_the_next(database: Database, kept: SqlAuditLog) -> None:
    ids = await fill(kept, 5)
    async with database.write() as connection:
        await connection.execute(delete(audit).where(audit.c.audit_id == ids[1]))
    assert await kept.verify() == ids[2]


async def test_entries_that_change_places_are_found(database: Database, kept: SqlAuditLog) -> None:
    ids = await fill(kept, 4)
    async with database.write() as connection:
        for old, new in ((ids[1], 1000), (ids[2], ids[1]), (1000, ids[2])):
            await connection.execute(update(audit).where(audit.c.audit_id == old).values(audit_id=new))
    assert await kept.verify() == ids[1]


async def test_a_long_log_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch, database: Database, kept: SqlAuditLog) -> None:
    monkeypatch.setattr("core.storage.audit._AT_ONCE", 2)
    ids = await fill(kept, 5)
    assert await kept.verify() is None
    async with database.write() as connection:
        await connection.execute(update(audit).where(audit.c.audit_id == ids[-1]).values(actor="eve"))
    assert await kept.verify() == ids[-1]


async def test_what_is_noted_stands_once_in_its_time_for_each_who_and_what(log: AuditLog) -> None:
    assert await log.note("ann", "conversation.read", "c1", seconds=3600)
    assert not await log.note("ann", "conversation.read", "c1", seconds=3600)
    assert await log.note("bob", "conversation.read", "c1", seconds=3600)
    assert await log.note("ann", "conversation.read", "c2", seconds=3600)
    assert await log.note("ann", "conversation.read", "c1", seconds=0)
    assert [entry.result for entry in await log.entries(10)] == ["done"] * 4
