"""One database, SQLite or PostgreSQL, behind two doors: `read` and `write`."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, ExceptionContext, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import migrations
from core.errors import OutOfReachError, StorageError

_SQLITE_PRAGMAS = (
    "PRAGMA busy_timeout=30000",  # other processes: four of them under a kill test kept one waiting for more than 5 s
    "PRAGMA synchronous=FULL",  # an accepted message survives a power cut
    "PRAGMA foreign_keys=ON",
)
_UPGRADE_LOCK = 5_203_817  # any number that nothing else locks


_CONNECT_SECONDS = 10
_COMMAND_SECONDS = 60.0  # of a statement on PostgreSQL; a connection that is half open must not hold a worker
_NOT_YET = {"57P03", "53300"}  # PostgreSQL that starts up or recovers, or has no connection free
_POSTGRESQL_WRITERS = 12  # of the pool's 15 connections: reads must not wait behind writes


class Database:
    """An engine and the rules for using it: short transactions, none open while a model runs."""

    def __init__(self, url: str, command_seconds: float | None = _COMMAND_SECONDS) -> None:
        """Open lazily; `url` is `sqlite:///FILE` or `postgresql://...`. Raises `StorageError` for any other."""
        self.engine = _engine(url, command_seconds)
        self._url = url
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # SQLite has one writer at a time and its waiting is not fair: within a process writers queue here instead.
        self._turnstile = asyncio.Semaphore(1 if self.is_sqlite else _POSTGRESQL_WRITERS)
        self._is_closed = False
        self._leaving: set[asyncio.Task[None]] = set()  # gives connections back; nobody who is cancelled stops it

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction that only reads."""
        async with self._connection() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction that is committed at the end, or undone by an exception."""
        async with self._turnstile, self._connection() as connection:
            await connection.execution_options(frontdesk_write=True)
            async with connection.begin():
                yield connection

    async def now(self, connection: AsyncConnection) -> datetime:
        """Return the database's own time, aware, in UTC: every process leases by one clock, whatever its host believes."""
        clock = "SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')" if self.is_sqlite else "SELECT clock_timestamp()"
        told = (await connection.exec_driver_sql(clock)).scalar_one()
        return datetime.fromisoformat(told).replace(tzinfo=UTC) if self.is_sqlite else told.astimezone(UTC)

    def insert(self, table: Table) -> Any:
        """Return an INSERT of this dialect, which knows ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    async def upgrade(self) -> None:
        """Bring the schema to the newest migration, however long it takes."""
        async with self._patient() as database, database.write() as connection:
            await connection.run_sync(_upgrade)

    async def revision(self) -> str | None:
        """Return the migration the schema is at, None for an empty database."""
        async with self.read() as connection:
            return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())

    async def require_newest(self) -> None:
        """Raise `StorageError` unless the schema is at the newest migration."""
        current, newest = await self.revision(), newest_revision()
        if current is not None and current not in _known_revisions():
            raise StorageError(f"The database is at migration {current}, which this version does not know. Update Frontdesk.")
        if current != newest:
            raise StorageError(f"The database is at migration {current}, this version needs {newest}. Run: frontdesk db upgrade")

    async def close(self) -> None:
        """Close every connection; those in use are closed when they are given back."""
        self._is_closed = True
        while self._leaving:
            await asyncio.wait(self._leaving)
        await self.engine.dispose()

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[Database]:
        """Give this database without a limit for statements: one that fills a table from a million turns takes minutes."""
        if self.is_sqlite:
            yield self
            return
        patient = Database(self._url, command_seconds=None)
        try:
            yield patient
        finally:
            await patient.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        with _translated():
            connection = await self._connect()
            try:
                yield connection
            finally:
                await asyncio.shield(self._leave(self._give_back(connection)))

    def _leave(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    async def _give_back(self, connection: AsyncConnection) -> None:
        if self._is_closed:  # its pool is gone, and nobody else would close it
            await connection.invalidate()
        await connection.close()

    async def _connect(self) -> AsyncConnection:
        """Connect; what whoever is cancelled meanwhile does not take is closed, because nobody else would do it."""
        connecting = asyncio.ensure_future(self._open())
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            self._leave(self._give_back_made(connecting))
            raise

    async def _give_back_made(self, connecting: asyncio.Future[AsyncConnection]) -> None:
        with suppress(Exception):
            await self._give_back(await connecting)

    async def _open(self) -> AsyncConnection:
        # Only here do these mean the database: inside a transaction they are the caller's own, such as a file that cannot be read.
        try:
            return await self.engine.connect()
        except (TimeoutError, OSError) as error:
            raise OutOfReachError(
                f"The database does not answer ({error.__class__.__name__}). Check database_url and that it runs."
            ) from error
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) in _NOT_YET:
                raise OutOfReachError(f"The database does not answer yet: {error.orig}") from error
            raise
        except TypeError as error:
            raise StorageError(f"database_url has an option that the driver does not know: {error}") from error


def newest_revision() -> str | None:
    """Return the newest migration shipped with this version."""
    return ScriptDirectory.from_config(_alembic_config()).get_current_head()


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_alembic_config()).walk_revisions()}


def _engine(url: str, command_seconds: float | None) -> AsyncEngine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # a ValueError quotes what it took for the port, which may be the password
        raise StorageError("database_url cannot be read. Examples: sqlite:///data/frontdesk.db, postgresql://user@host/name") from None
    # Parameters are hidden because errors reach the log, and parameters hold what customers write.
    if parsed.get_backend_name() == "postgresql":
        patience = {"timeout": _CONNECT_SECONDS, "command_timeout": command_seconds}
        url_of_driver = parsed.set(drivername="postgresql+asyncpg")
        engine = create_async_engine(url_of_driver, connect_args=patience, pool_pre_ping=True, hide_parameters=True)
        event.listen(engine.sync_engine, "handle_error", _name_timeout)
        return engine
    if parsed.get_backend_name() != "sqlite":
        raise StorageError(f"database_url names {parsed.get_backend_name()!r}; Frontdesk runs on sqlite and postgresql.")
    if parsed.database:
        _make_folder(Path(parsed.database).parent)
    how = {"async_creator_fn": _open_sqlite}
    engine = create_async_engine(parsed.set(drivername="sqlite+aiosqlite"), connect_args=how, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _name_timeout(context: ExceptionContext) -> OutOfReachError | None:
    """Let a statement that took too long be the database's fault: a bare `TimeoutError` would end whatever only minds `StorageError`."""
    if not isinstance(context.original_exception, TimeoutError):
        return None
    return OutOfReachError("The database did not answer in time. Something locks a table, perhaps an upgrade, or it is overloaded.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The folder {folder} cannot be made: {error.strerror}. Set data_dir or database_url.") from error


async def _open_sqlite(*where: Any, **options: Any) -> aiosqlite.Connection:
    connection = aiosqlite.connect(*where, **options)
    connection._thread.daemon = True  # as SQLAlchemy has it: a connection left open does not hold up the end of the process
    try:
        return await connection
    except Exception:  # its thread has one more word for the loop, and ends in a traceback if the loop has gone
        await asyncio.to_thread(connection._thread.join)
        raise


def _prepare_sqlite(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = None  # the driver must not begin by itself; _begin_sqlite does
    cursor = dbapi_connection.cursor()
    try:
        for pragma in _SQLITE_PRAGMAS:
            cursor.execute(pragma)
        with suppress(sqlite3.OperationalError):  # SQLite does not wait here; the mode belongs to the file, and who holds the lock sets it
            cursor.execute("PRAGMA journal_mode=WAL")
        cursor.close()
    except BaseException:  # nobody else closes a connection that never reached the pool: its thread would outlive the loop
        dbapi_connection.close()
        raise


def _begin_sqlite(connection: Connection) -> None:
    # A deferred BEGIN that reads and then writes fails under load although it waits (82 % of 320 transactions, measured).
    write = connection.get_execution_options().get("frontdesk_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StorageError(f"The database refused: {error.orig}. If tables are missing, run: frontdesk db upgrade") from error
    except SQLAlchemyError as error:
        raise StorageError(f"The database refused: {error}") from error


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # processes that start together upgrade one after the other, as on SQLite
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
    config = _alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
