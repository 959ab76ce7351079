"""A database that cannot be used says so in one sentence, without its password; writers wait for each other."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text

from core.domain import utc_now
from core.errors import OutOfReachError, StorageError
from core.storage.database import Database, newest_revision
from core.storage.knowledge_store import SqlKnowledgeStore
from core.storage.tables import releases

SECRET = "hunter2secret"


async def failure(url: str) -> StorageError:
    """What a first query on a database says."""
    with pytest.raises(StorageError) as caught:
        database = Database(url)
        try:
            await database.revision()
        finally:
            await database.close()
    return caught.value


@pytest.mark.parametrize(
    "url", ["", "nonsense", "postgresql", "://", f"postgresql://user:{SECRET}/name", f"postgresql://u:{SECRET}@host:port/db"]
)
def test_an_unreadable_url_is_refused_with_examples(url: str) -> None:
    with pytest.raises(StorageError, match=r"database_url cannot be read\. Examples: sqlite:///"):
        Database(url)


@pytest.mark.parametrize("url", [f"mysql://u:{SECRET}@host/db", f"oracle+cx://u:{SECRET}@host/db"])
def test_another_database_is_refused_by_name(url: str) -> None:
    with pytest.raises(StorageError, match=r"'(mysql|oracle)'; Frontdesk runs on sqlite and postgresql"):
        Database(url)


async def test_a_server_out_of_reach_says_what_to_check() -> None:
    assert "does not answer" in str(await failure(f"postgresql://user:{SECRET}@127.0.0.1:1/name"))


async def test_an_option_that_the_driver_does_not_know_is_a_storage_error() -> None:
    assert "database_url" in str(await failure(f"postgresql://user:{SECRET}@127.0.0.1:1/name?no_such_option=1"))


async def test_a_database_that_does_not_exist_is_a_storage_error(new_database_url: Callable[[str], str]) -> None:
    url = new_database_url("postgresql").replace("/test_", "/missing_")
    assert "does not exist" in str(await failure(url))


@pytest.mark.parametrize(
    "url",
    [f"postgresql://user:{SECRET}/name", f"postgresql://u:{SECRET}@host:port/db", f"postgresql://u:{SECRET}@127.0.0.1:1/name",
     f"mysql://u:{SECRET}@host/db", f"postgresql://u:{SECRET}@127.0.0.1:1/name?no_such_option=1", f"{SECRET}"],
)  # fmt: skip
async def test_no_part_of_an_error_shows_the_password(url: str) -> None:
    error = await failure(url)
    assert SECRET not in "".join(traceback.format_exception(error))


async def test_a_sqlite_file_below_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    error = await failure(f"sqlite:///{tmp_path}/file/data.db")
    assert str(tmp_path / "file") in str(error)


async def test_a_sqlite_file_that_is_a_folder_is_a_storage_error(tmp_path: Path) -> None:
    assert "unable to open database file" in str(await failure(f"sqlite:///{tmp_path}"))


async def test_a_file_that_is_no_database_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "garbage.db").write_bytes(b"this is not a database" * 200)
    assert "not a database" in str(await failure(f"sqlite:///{tmp_path / 'garbage.db'}"))


async def test_whoever_is_cancelled_while_connecting_leaves_no_connection_behind(tmp_path: Path) -> None:
    async def look(database: Database) -> None:
        async with database.read():
            pass

    for step in range(60):
        database = Database(f"sqlite:///{tmp_path}/data.db")
        looking = asyncio.create_task(look(database))
        await asyncio.sleep(step / 10_000)  # connecting takes some milliseconds: each time it is cancelled at another point
        looking.cancel()
        await asyncio.wait([looking])
        await database.close()
    gc.collect()  # a connection that nobody closed warns here, and a warning is an error


async def test_the_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a/b/data.db")
    await database.upgrade()
    await database.close()
    assert (tmp_path / "a/b/data.db").is_file()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_missing_tables_name_the_command_that_makes_them(kind: str, new_database_url: Callable[[str], str]) -> None:
    database = Database(new_database_url(kind))
    try:
        with pytest.raises(StorageError, match="If tables are missing, run: frontdesk db upgrade"):
            await SqlKnowledgeStore(database).names()
        with pytest.raises(StorageError, match=f"at migration None, this version needs {newest_revision()}"):
            await database.require_newest()
    finally:
        await database.close()


async def test_a_database_at_the_newest_migration_is_accepted(database: Database) -> None:
    await database.require_newest()
    assert await database.revision() == newest_revision()


async def _count(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(releases))).scalar_one())


def _release(version: str) -> dict[str, object]:
    return {"knowledge": "kb", "version": version, "passages": 1, "embedder": "e", "published_at": utc_now()}


async def test_an_exception_undoes_the_transaction_and_is_the_callers_own(database: Database) -> None:
    for error in (ValueError("mine"), OSError("mine"), TimeoutError("mine")):
        with pytest.raises(type(error)) as caught:
            async with database.write() as connection:
                await connection.execute(insert(releases).values(_release("v1")))
                raise error
        assert caught.value is error
    assert await _count(database) == 0


async def test_a_cancelled_transaction_is_undone_and_blocks_no_other(database: Database) -> None:
    written = asyncio.Event()

    async def write_and_wait() -> None:
        async with database.write() as connection:
            await connection.execute(insert(releases).values(_release("v1")))
            written.set()
            await asyncio.Event().wait()

    writer = asyncio.create_task(write_and_wait())
    await written.wait()
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer
    async with database.write() as connection:
        await connection.execute(insert(releases).values(_release("v2")))
    assert await _count(database) == 1


async def test_a_row_that_breaks_a_rule_is_a_storage_error(database: Database) -> None:
    with pytest.raises(StorageError, match="The database refused"):
        async with database.write() as connection:
            await connection.execute(insert(releases).values(_release("v1")))
            await connection.execute(insert(releases).values(_release("v1")))
    assert await _count(database) == 0


async def test_concurrent_writers_on_sqlite_that_read_first_all_succeed(open_database: Callable[[str], Awaitable[Database]]) -> None:
    database = await open_database("sqlite")

    async def ten_times(writer: int) -> None:
        for number in range(10):
            async with database.write() as connection:
                seen = (await connection.execute(select(func.count()).select_from(releases))).scalar_one()
                await connection.execute(insert(releases).values(_release(f"{writer}-{number}") | {"passages": seen}))

    await asyncio.gather(*map(ten_times, range(20)))
    async with database.read() as connection:
        seen = list((await connection.execute(select(releases.c.passages))).scalars())
    assert sorted(seen) == list(range(200))  # no two transactions saw the same state


async def test_two_processes_that_upgrade_at_once_both_succeed(new_database_url: Callable[[str], str]) -> None:
    for kind in ("sqlite", "postgresql"):
        url = new_database_url(kind)
        databases = [Database(url) for _ in range(4)]
        await asyncio.gather(*(database.upgrade() for database in databases))
        assert {await database.revision() for database in databases} == {newest_revision()}
        for database in databases:
            await database.close()


async def test_a_database_of_a_newer_version_is_not_told_to_upgrade(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="Update Frontdesk"):
        await database.require_newest()


async def test_an_upgrade_takes_as_long_as_it_takes(new_database_url: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(new_database_url("postgresql"), command_seconds=0.2)
    monkeypatch.setattr("core.storage.database._upgrade", lambda connection: connection.exec_driver_sql("SELECT pg_sleep(0.6)"))
    await database.upgrade()
    await database.close()


async def test_a_statement_that_takes_too_long_is_a_storage_error_and_its_connection_is_used_again(
    new_database_url: Callable[[str], str],
) -> None:
    database = Database(new_database_url("postgresql"), command_seconds=1.0)
    for door in (database.read, database.write):
        with pytest.raises(OutOfReachError, match="did not answer in time"):
            async with door() as connection:
                await connection.exec_driver_sql("SELECT pg_sleep(5)")
        async with door() as connection:
            assert (await connection.exec_driver_sql("SELECT 1")).scalar_one() == 1
    with pytest.raises(TimeoutError):  # the caller's own stays theirs
        async with database.read(), asyncio.timeout(0.01):
            await asyncio.sleep(1)
    await database.close()
