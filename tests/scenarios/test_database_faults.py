"""The database is locked, restarts or breaks its connections off: what was accepted is answered once, and nothing has to be restarted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bot.dispatch import Dispatch, NotAcceptedError
from core.delivery import courier, crew, worker
from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.worker import Worker
from core.domain import Address
from core.storage import database as storage
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from tests.core.delivery.scripted import (
    PATIENCE_SECONDS,
    Dialogue,
    Journal,
    JournalInbox,
    JournalOutbox,
    Platform,
    in_background,
    message,
)
from tests.servers.fault_proxy import Fault, FaultProxy
from tests.servers.postgres import PostgresServer


@dataclass
class Service:
    """A running worker and courier, and the door for messages."""

    database: Database
    dispatch: Dispatch
    dialogue: Dialogue
    platform: Platform
    journal: Journal
    running: list[asyncio.Task[None]]
    patience: float  # seconds; a claim whose commit was not heard of lies idle until its lease runs out

    async def accepted_in_the_end(self, number: int) -> None:
        """Send the message again until it is taken, as platforms do."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await self.dispatch.accept(message(number, self.place(number)))
                    return
                except NotAcceptedError:
                    await asyncio.sleep(0.05)  # the platform's own delay

    def place(self, number: int) -> Address:
        return Address("chat", "w", "c", f"t{number}")

    async def answered_once(self, *numbers: int) -> None:
        await self.journal.has("sent", times=len(numbers), patience=self.patience)
        assert sorted(self.platform.said) == sorted((f"t{number}", f"TEXT {number}") for number in numbers)
        for number in numbers:
            assert len(await SqlConversationLog(self.database).turns(self.place(number))) == 1
        assert not any(part.done() for part in self.running)


@asynccontextmanager
async def serving(url: str, lease: float = 2) -> AsyncIterator[Service]:
    journal, platform, accepted, finished, database = Journal(), Platform(), Bell(), Bell(), Database(url)
    inbox, dialogue = JournalInbox(database, journal), Dialogue(journal)
    answering = worker.Terms(lease=lease, renew=0.05, first_delay=0.05, longest_delay=0.05, drain=1, max_attempts=100)
    delivering = courier.Terms(lease=2, call=0.5, first_delay=0.05, longest_delay=0.05, drain=1)
    patience = PATIENCE_SECONDS + lease
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        work = Worker(inbox, SqlConversationLog(database), dialogue, platform.preview, accepted, finished, answering)
        deliver = Courier(JournalOutbox(database, journal), {"chat": platform}, finished, delivering)
        running = [await stack.enter_async_context(in_background(part.run(), patience)) for part in (work, deliver)]
        yield Service(database, Dispatch(inbox, accepted), dialogue, platform, journal, running, patience)


@pytest.fixture(autouse=True)
def _ask_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_STORAGE_SECONDS", 0.1)


async def migrated(url: str) -> str:
    database = Database(url)
    await database.upgrade()
    await database.close()
    return url


@pytest.fixture
async def proxied(postgres_server: PostgresServer) -> AsyncIterator[tuple[FaultProxy, str]]:
    """A proxy before a PostgreSQL database, and the URL that goes through it."""
    direct = await migrated(postgres_server.new_database())
    name = direct.split("@/")[1].split("?")[0]
    async with FaultProxy(postgres_server.socket) as proxy:
        yield proxy, f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}?ssl=disable"


def held(service: Service) -> tuple[asyncio.Event, asyncio.Event]:
    """Make the next dialogue wait; return what tells that it began, and what lets it go on."""
    began, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        began.set()
        await go.wait()

    service.dialogue.script.append(wait)
    return began, go


async def test_bad_input_59_a_locked_database_is_waited_for(new_database_url: Callable[[str], str], tmp_path: Path) -> None:
    url = await migrated(new_database_url("sqlite"))
    async with serving(url) as service:
        with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            accepting = asyncio.create_task(service.dispatch.accept(message(1, service.place(1))))
            done, _ = await asyncio.wait([accepting], timeout=1)
            assert not done
            other.execute("COMMIT")
        assert await accepting
        await service.answered_once(1)


async def test_bad_input_59_locked_for_too_long_the_platform_is_told_to_send_again(
    new_database_url: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_SQLITE_PRAGMAS", ("PRAGMA busy_timeout=100", "PRAGMA foreign_keys=ON"))
    url = await migrated(new_database_url("sqlite"))
    async with serving(url) as service:
        began, go = held(service)
        await service.accepted_in_the_end(1)
        await began.wait()
        with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            go.set()  # an answer waits to be written
            with pytest.raises(NotAcceptedError):
                await service.dispatch.accept(message(2, service.place(2)))
            other.execute("COMMIT")
        await service.accepted_in_the_end(2)
        await service.answered_once(1, 2)
    assert service.dialogue.asked.count("text 1") == 1


async def test_bad_input_60_a_full_disk_refuses_what_comes_in_and_goes_on_when_there_is_space(
    new_database_url: Callable[[str], str], tmp_path: Path
) -> None:
    async with serving(await migrated(new_database_url("sqlite"))) as service:
        await service.accepted_in_the_end(1)
        await service.answered_once(1)
        pages = 1  # fewer than it has: SQLite then takes the number it has as the limit

        def limit(connection: Any, *_: object) -> None:
            connection.cursor().execute(f"PRAGMA max_page_count={pages}")

        event.listen(service.database.engine.sync_engine, "checkout", limit)
        long = replace(message(2, service.place(2)), text="x" * 4000)
        with pytest.raises(NotAcceptedError):  # SQLITE_FULL: the pages that are half empty may take a few rows before
            for number in range(200):
                await service.dispatch.accept(replace(long, message_id=f"filling-{number}", for_bot=False))
        pages = 1_000_000
        await service.accepted_in_the_end(2)
        await service.answered_once(1, 2)
    with closing(sqlite3.connect(tmp_path / "test.db")) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_bad_input_59_postgresql_restarts_while_an_answer_is_written_and_messages_come_in(postgres_server: PostgresServer) -> None:
    async with serving(await migrated(postgres_server.new_database()), lease=30) as service:  # a restart may take 5 s
        began, go = held(service)
        await service.accepted_in_the_end(1)
        await began.wait()
        restarting = asyncio.create_task(asyncio.to_thread(postgres_server.restart))
        await asyncio.gather(*(service.accepted_in_the_end(number) for number in range(2, 10)))
        go.set()
        await restarting
        await service.answered_once(*range(1, 10))
    assert service.dialogue.asked.count("text 1") == 1


async def test_bad_input_59_postgresql_is_away_while_an_answer_waits_to_be_written(proxied: tuple[FaultProxy, str]) -> None:
    proxy, url = proxied
    async with serving(url) as service:
        began, go = held(service)
        await service.accepted_in_the_end(1)
        await began.wait()
        proxy.refuse()
        proxy.reset_connections()
        go.set()
        with pytest.raises(NotAcceptedError):
            await service.dispatch.accept(message(2, service.place(2)))
        await proxy.restore()
        await service.accepted_in_the_end(2)
        await service.answered_once(1, 2)
    assert service.dialogue.asked.count("text 1") == 1


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.ACCEPT_THEN_RESET])
async def test_bad_input_59_connections_that_break_at_any_statement_lose_and_repeat_nothing(
    proxied: tuple[FaultProxy, str], fault: Fault
) -> None:
    proxy, url = proxied
    async with serving(url) as service:
        for number in range(1, 7):
            await service.accepted_in_the_end(number)
            for connection in proxy.connections:
                connection.fault = fault
        await service.answered_once(*range(1, 7))
