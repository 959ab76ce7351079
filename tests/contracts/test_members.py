"""Who may sign in, who is in, and what is good for once: in memory and on every database."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Table, select, update

from core.domain import utc_now
from core.members import EVERYWHERE, Identity, Member, Members, Role, Scope
from core.sessions import IDLE, LASTS, Attempts, Sessions, Tickets, digest
from core.storage.database import Database
from core.storage.member_tables import attempts, sessions, tickets
from core.storage.members import SqlMembers
from core.storage.memory_members import MemoryAttempts, MemoryMembers, MemorySessions, MemoryTickets
from core.storage.sessions import SqlAttempts, SqlSessions, SqlTickets

SHOPS = Scope(frozenset({("slack", "T1"), ("discord", "2")}))


class House:
    """The four stores, and a way to let time pass."""

    members: Members
    sessions: Sessions
    tickets: Tickets
    attempts: Attempts

    async def let_pass(self, time: timedelta) -> None: ...


class InMemory(House):
    def __init__(self) -> None:
        self._ahead = timedelta()
        known = MemoryMembers()
        self.members, self.sessions = known, MemorySessions(known, self._now)
        self.tickets, self.attempts = MemoryTickets(self._now), MemoryAttempts(self._now)

    def _now(self) -> datetime:
        return utc_now() + self._ahead

    async def let_pass(self, time: timedelta) -> None:
        self._ahead += time


class OnDatabase(House):
    def __init__(self, database: Database) -> None:
        self._database = database
        self.members, self.sessions = SqlMembers(database), SqlSessions(database)
        self.tickets, self.attempts = SqlTickets(database), SqlAttempts(database)

    async def let_pass(self, time: timedelta) -> None:
        for table, columns in ((sessions, ("begun_at", "seen_at")), (tickets, ("expires_at",)), (attempts, ("at",))):
            for column in columns:
                await self._set_back(table, column, time)

    async def _set_back(self, table: Table, column: str, time: timedelta) -> None:
        key = next(iter(table.primary_key))
        async with self._database.write() as connection:
            for kept, at in (await connection.execute(select(key, table.c[column]))).all():
                await connection.execute(update(table).where(key == kept).values({column: at - time}))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def house(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> House:
    return InMemory() if request.param == "memory" else OnDatabase(await open_database(request.param))


def member(name: str = "Ann", role: Role = Role.AGENT, scope: Scope = EVERYWHERE) -> Member:
    return Member(uuid.uuid4().hex, name, role, scope)


async def test_a_member_is_kept_with_role_and_scope(house: House) -> None:
    ann, bob = member("Ann", Role.EDITOR, SHOPS), member("bob", scope=Scope(frozenset()))
    assert await house.members.add(bob) and await house.members.add(ann)
    assert await house.members.member(ann.member_id) == ann
    assert await house.members.all() == (ann, bob)
    assert await house.members.member("nobody") is None


@pytest.mark.parametrize("name", ["ann", "ANN", " Ann ", "A\u200bnn", "Аnn"], ids=["small", "large", "spaces", "invisible", "cyrillic"])
async def test_a_name_that_looks_the_same_is_the_same(house: House, name: str) -> None:
    await house.members.add(member("Ann"))
    assert not await house.members.add(member(name))
    found = await house.members.named(name)
    assert found is not None and found.name == "Ann"


async def test_a_name_is_free_again_once_its_member_is_removed(house: House) -> None:
    old, new = member(), member()
    await house.members.add(old)
    assert await house.members.remove(old.member_id) and not await house.members.remove(old.member_id)
    assert await house.members.add(new)
    assert await house.members.named("Ann") == new
    assert not await house.members.change(old.member_id, Role.ADMIN, EVERYWHERE)
    assert await house.members.names() == {old.actor: "Ann", new.actor: "Ann"}


async def test_a_provider_knows_a_member_by_one_subject_only(house: House) -> None:
    ann, bob, known = member("Ann"), member("Bob"), Identity("https://login.example", "7")
    await house.members.add(ann)
    await house.members.add(bob)
    assert await house.members.identify(ann.member_id, known)
    assert await house.members.identified(known) == ann
    assert not await house.members.identify(bob.member_id, known)
    assert not await house.members.identify(ann.member_id, Identity("https://login.example", "8"))
    assert await house.members.identified(Identity("https://other.example", "7")) is None


async def test_the_identity_of_somebody_removed_opens_nothing_and_is_free(house: House) -> None:
    old, new, known = member(), member(), Identity("https://login.example", "7")
    await house.members.add(old)
    await house.members.identify(old.member_id, known)
    await house.members.set_password(old.member_id, "hash")
    await house.members.remove(old.member_id)
    assert await house.members.identified(known) is None and await house.members.password(old.member_id) == ""
    await house.members.add(new)
    assert await house.members.identify(new.member_id, known)


async def test_a_session_is_its_members_until_it_ends(house: House) -> None:
    ann = member()
    await house.members.add(ann)
    await house.sessions.begin(digest("one"), ann.member_id)
    await house.sessions.begin(digest("two"), ann.member_id)
    assert await house.sessions.member(digest("one")) == ann
    await house.sessions.end(digest("one"))
    assert await house.sessions.member(digest("one")) is None
    assert await house.sessions.member(digest("two")) == ann
    await house.sessions.end_all(ann.member_id)
    assert await house.sessions.member(digest("two")) is None


async def test_another_role_counts_in_sessions_that_there_are_and_whoever_is_removed_is_out(house: House) -> None:
    ann = member(role=Role.ADMIN)
    await house.members.add(ann)
    await house.sessions.begin(digest("s"), ann.member_id)
    await house.members.change(ann.member_id, Role.VIEWER, SHOPS)
    found = await house.sessions.member(digest("s"))
    assert found is not None and (found.role, found.scope) == (Role.VIEWER, SHOPS)
    await house.members.remove(ann.member_id)
    assert await house.sessions.member(digest("s")) is None


async def test_a_session_that_nobody_uses_ends_and_one_in_use_goes_on_but_not_for_ever(house: House) -> None:
    ann = member()
    await house.members.add(ann)
    await house.sessions.begin(digest("idle"), ann.member_id)
    await house.let_pass(IDLE)
    assert await house.sessions.member(digest("idle")) is None
    await house.sessions.begin(digest("busy"), ann.member_id)
    for _ in range(int(LASTS / (IDLE / 2)) - 1):
        await house.let_pass(IDLE / 2)
        assert await house.sessions.member(digest("busy")) == ann
    await house.let_pass(IDLE / 2)
    assert await house.sessions.member(digest("busy")) is None


async def test_a_ticket_is_good_for_one_of_many_and_for_its_purpose(house: House) -> None:
    await house.tickets.issue(digest("t"), "link", "ann", timedelta(minutes=15))
    assert await house.tickets.look(digest("t"), "link") == "ann"
    assert await house.tickets.take(digest("t"), "state") is None
    taken = await asyncio.gather(*(house.tickets.take(digest("t"), "link") for _ in range(5)))
    assert sorted(one or "" for one in taken) == ["", "", "", "", "ann"]


async def test_a_ticket_does_not_last(house: House) -> None:
    await house.tickets.issue(digest("t"), "link", "ann", timedelta(minutes=15))
    await house.let_pass(timedelta(minutes=15))
    assert await house.tickets.look(digest("t"), "link") is None
    assert await house.tickets.take(digest("t"), "link") is None


async def test_no_more_than_the_limit_within_the_window_however_many_try_at_once(house: House) -> None:
    window = timedelta(minutes=15)
    allowed = await asyncio.gather(*(house.attempts.allow("ann", 3, window) for _ in range(8)))
    assert sum(allowed) == 3
    assert await house.attempts.allow("bob", 3, window)
    await house.let_pass(window)
    assert await house.attempts.allow("ann", 3, window)


async def test_nothing_that_opens_a_session_is_in_the_database(database: Database) -> None:
    ann = member()
    await SqlMembers(database).add(ann)
    await SqlSessions(database).begin(digest("held-by-a-browser"), ann.member_id)
    await SqlAttempts(database).allow("password:192.0.2.7", 1, timedelta(minutes=1))
    async with database.read() as connection:
        rows = [tuple(row) for table in (sessions, attempts) for row in (await connection.execute(select(table))).all()]
    assert "held-by-a-browser" not in str(rows) and "192.0.2.7" not in str(rows)
