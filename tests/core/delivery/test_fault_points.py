"""Killed at any of the named points, a process leaves nothing behind that the next one cannot finish, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.delivery import faults
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from tests.core.delivery import faulty_process
from tests.core.delivery.scripted import HERE, PATIENCE_SECONDS
from tests.servers.chat import ChatServer
from tests.servers.processes import quick_to_start

ON_SQLITE = [("sqlite", point) for point in faults.POINTS]
ON_POSTGRESQL = [("postgresql", point) for point in ("before_finish", "after_send")]


async def exit_status(*arguments: str) -> int | None:
    process = quick_to_start().Process(target=faulty_process.run, args=arguments)
    await asyncio.to_thread(process.start)
    await asyncio.to_thread(process.join, PATIENCE_SECONDS * 2)
    process.kill()
    return process.exitcode


@pytest.mark.parametrize(("kind", "point"), ON_SQLITE + ON_POSTGRESQL)
async def test_bad_input_61_killed_at_a_fault_point_the_message_is_answered_once(
    kind: str, point: str, new_database_url: Callable[[str], str]
) -> None:
    url = new_database_url(kind)
    database = Database(url)
    await database.upgrade()
    async with ChatServer() as server:
        assert await exit_status(url, server.url, point) == 137
        assert await exit_status(url, server.url) == 0
        assert [stored.text for stored in server.messages] == ["TEXT 1"]
    assert len(await SqlConversationLog(database).turns(HERE)) == 1
    await database.close()


async def test_bad_input_61_a_message_that_kills_every_process_is_handed_over_by_the_fourth(
    open_database: Callable[[str], Awaitable[Database]],
) -> None:
    database = await open_database("sqlite")
    url = f"sqlite:///{database.engine.url.database}"
    async with ChatServer() as server:
        for _ in range(3):
            assert await exit_status(url, server.url, "while_answering") == 137
        assert await exit_status(url, server.url, "while_answering") == 0
        assert [stored.text for stored in server.messages] == ["Sorry, a person will answer."]


async def test_a_point_may_be_passed_before_it_kills(open_database: Callable[[str], Awaitable[Database]]) -> None:
    url = f"sqlite:///{(await open_database('sqlite')).engine.url.database}"
    async with ChatServer() as server:
        assert await exit_status(url, server.url, "after_send:2") == 0
        assert len(server.messages) == 1
