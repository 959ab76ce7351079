"""Sessions, tickets and attempts in SQL, by the database's clock: every process agrees on what is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.members import Member
from core.sessions import IDLE, LASTS, digest
from core.storage.database import Database
from core.storage.member_tables import attempts, members, sessions, tickets
from core.storage.members import member_of

_NOTED_EACH = timedelta(seconds=60)  # a use is written down at most this often: reading a page should not wait for SQLite's one writer
_COUNTED = timedelta(days=1)  # no window of attempts is longer


class SqlSessions:
    """`Sessions` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, session: str, member_id: str) -> None:
        """See `Sessions.begin`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            await connection.execute(delete(sessions).where(sessions.c.begun_at < now - LASTS))
            await connection.execute(sessions.insert().values(digest=session, member_id=member_id, begun_at=now, seen_at=now))

    async def member(self, session: str) -> Member | None:
        """See `Sessions.member`."""
        row, now = await self._open(session)
        if row is None:
            return None
        if row["seen_at"] < now - _NOTED_EACH:
            await self._use(session)
        return member_of(row)

    async def look(self, session: str) -> Member | None:
        """See `Sessions.look`."""
        row, _ = await self._open(session)
        return member_of(row) if row else None

    async def end(self, session: str) -> None:
        """See `Sessions.end`."""
        async with self._database.write() as connection:
            await connection.execute(delete(sessions).where(sessions.c.digest == session))

    async def end_all(self, member_id: str) -> None:
        """See `Sessions.end_all`."""
        async with self._database.write() as connection:
            await connection.execute(delete(sessions).where(sessions.c.member_id == member_id))

    async def _open(self, session: str) -> tuple[RowMapping | None, datetime]:
        query = select(members, sessions.c.seen_at).join(sessions, sessions.c.member_id == members.c.member_id)
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            valid = (sessions.c.begun_at > now - LASTS, sessions.c.seen_at > now - IDLE, members.c.removed_at.is_(None))
            return (await connection.execute(query.where(sessions.c.digest == session, *valid))).mappings().first(), now

    async def _use(self, session: str) -> None:
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            await connection.execute(update(sessions).where(sessions.c.digest == session).values(seen_at=now))


class SqlTickets:
    """`Tickets` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, ticket: str, purpose: str, payload: str, lasts: timedelta) -> None:
        """See `Tickets.issue`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            await connection.execute(delete(tickets).where(tickets.c.expires_at < now))
            await connection.execute(tickets.insert().values(digest=ticket, purpose=purpose, payload=payload, expires_at=now + lasts))

    async def look(self, ticket: str, purpose: str) -> str | None:
        """See `Tickets.look`."""
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            good = (tickets.c.digest == ticket, tickets.c.purpose == purpose, tickets.c.expires_at > now)
            return (await connection.execute(select(tickets.c.payload).where(*good))).scalar()

    async def take(self, ticket: str, purpose: str) -> str | None:
        """See `Tickets.take`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            good = (tickets.c.digest == ticket, tickets.c.purpose == purpose, tickets.c.expires_at > now)
            return (await connection.execute(delete(tickets).where(*good).returning(tickets.c.payload))).scalar()


class SqlAttempts:
    """`Attempts` on a `Database`; what was tried is kept as a hash, because it holds names and addresses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def allow(self, key: str, limit: int, window: timedelta) -> bool:
        """See `Attempts.allow`."""
        hashed = digest(key)
        async with self._database.write() as connection:
            await self._queue_up(connection, hashed)
            now = await self._database.now(connection)
            lately = (attempts.c.key == hashed, attempts.c.at > now - window)
            if (await connection.execute(select(func.count()).select_from(attempts).where(*lately))).scalar_one() >= limit:
                return False
            await connection.execute(delete(attempts).where(attempts.c.at < now - _COUNTED))
            await connection.execute(attempts.insert().values(key=hashed, at=now))
        return True

    async def _queue_up(self, connection: AsyncConnection, hashed: str) -> None:
        """One at a time for a key: of many tries at once, no more than the limit may count themselves the last."""
        if not self._database.is_sqlite:
            await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(hashed, 0))))
