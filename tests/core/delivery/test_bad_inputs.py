"""Bad inputs that concern delivery, from the surface's event to the platform's channel, over a local chat platform."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.dispatch import Dispatch
from core.delivery import courier, worker
from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.worker import Worker
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from tests.core.delivery.scripted import Dialogue, Journal, JournalInbox, JournalOutbox, in_background, message
from tests.servers.chat import ChatServer
from tests.servers.chat_adapter import HttpChatAdapter
from tests.servers.fault_proxy import Fault, FaultProxy


class Service:
    """Dispatch, a worker and a courier on one database."""

    def __init__(self, database: Database, adapter: HttpChatAdapter) -> None:
        self.journal, accepted, finished = Journal(), Bell(), Bell()
        self.inbox, self.dialogue = JournalInbox(database, self.journal), Dialogue(self.journal)
        self.dispatch = Dispatch(self.inbox, accepted)
        terms = worker.Terms(first_delay=0.01, longest_delay=0.01)
        self.worker = Worker(self.inbox, SqlConversationLog(database), self.dialogue, adapter.preview, accepted, finished, terms)
        outbox, slow = JournalOutbox(database, self.journal), courier.Terms(first_delay=0.01, longest_delay=0.05)
        self.courier = Courier(outbox, {"chat": adapter}, finished, slow)

    async def ask(self, *numbers: int) -> None:
        for number in numbers:
            await self.dispatch.accept(message(number))
            await self.journal.has("finish", times=number)  # or waiting messages would become one turn


Serve = Callable[[str], Awaitable[Service]]


@pytest.fixture
async def serve(open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Serve]:
    """Runs a service that posts to a URL; stopped after the test."""
    async with AsyncExitStack() as stack:

        async def served(url: str) -> Service:
            adapter = await stack.enter_async_context(HttpChatAdapter(url))
            service = Service(await open_database("sqlite"), adapter)
            await stack.enter_async_context(in_background(service.worker.run()))
            await stack.enter_async_context(in_background(service.courier.run()))
            return service

        yield served


@asynccontextmanager
async def proxied(server: ChatServer) -> AsyncIterator[tuple[FaultProxy, str]]:
    async with FaultProxy(("127.0.0.1", server.port)) as proxy:
        yield proxy, f"http://127.0.0.1:{proxy.port}"


class FailsAfterwards(ChatServer):
    """Answers with an error after the message was stored, the first time."""

    status = 500

    async def _post(self, request: Request) -> Response:
        taken = await super()._post(request)
        return JSONResponse({"error": "internal"}, self.status) if self.requests == 1 else taken


def said(server: ChatServer) -> list[str]:
    return [stored.text for stored in server.messages]


async def test_bad_input_25_an_event_that_comes_four_times_is_answered_once_and_taken_each_time(serve: Serve) -> None:
    async with ChatServer() as server:
        service = await serve(server.url)
        new = [await service.dispatch.accept(message(1))]
        await service.journal.has("sent")
        new += [await service.dispatch.accept(message(1)) for _ in range(3)]
        await service.dispatch.accept(message(2))
        await service.journal.has("sent", times=2)
    assert new == [True, False, False, False]
    assert said(server) == ["TEXT 1", "TEXT 2"]


async def test_bad_input_25_four_at_once_are_answered_once(serve: Serve) -> None:
    async with ChatServer() as server:
        service = await serve(server.url)
        assert sum(await asyncio.gather(*(service.dispatch.accept(message(1)) for _ in range(4)))) == 1
        await service.journal.has("sent")
        await service.dispatch.accept(message(2))
        await service.journal.has("sent", times=2)
    assert said(server) == ["TEXT 1", "TEXT 2"]


async def test_bad_input_28_late_older_messages_are_all_answered(serve: Serve) -> None:
    async with ChatServer() as server:
        service = await serve(server.url)
        await service.ask(1)
        await service.dispatch.accept(replace(message(3), order_key="000003"))
        await service.journal.has("finish", times=2)
        await service.dispatch.accept(replace(message(2), order_key="000002"))
        await service.journal.has("sent", times=3)
    assert said(server) == ["TEXT 1", "TEXT 3", "TEXT 2"]


async def test_bad_input_50_after_a_storm_of_limits_the_answers_arrive_later_and_in_order(serve: Serve) -> None:
    async with ChatServer(limit=1.0) as server:
        service = await serve(server.url)
        began = time.monotonic()
        await service.ask(1, 2, 3, 4)
        await service.journal.has("retry", times=5)
        storm = time.monotonic() - began
        assert said(server) == []
        assert server.requests <= 1 + storm / 0.2  # one reply of the conversation knocks, and only as often as it may
        server.limit = 0.3
        await service.journal.has("sent", times=4)
    assert said(server) == ["TEXT 1", "TEXT 2", "TEXT 3", "TEXT 4"]


async def test_bad_input_52_a_reset_after_the_platform_took_it_makes_no_duplicate(serve: Serve) -> None:
    async with ChatServer() as server, proxied(server) as (proxy, url):
        proxy.planned.append(Fault.ACCEPT_THEN_RESET)
        service = await serve(url)
        await service.ask(1, 2)
        await service.journal.has("sent", times=2)
    assert said(server) == ["TEXT 1", "TEXT 2"]
    assert "retry" in service.journal.entries


async def test_bad_input_52_a_reset_before_the_platform_took_it_loses_nothing(serve: Serve) -> None:
    async with ChatServer() as server, proxied(server) as (proxy, url):
        proxy.planned.extend([Fault.RESET, Fault.RESET, Fault.RESET])
        service = await serve(url)
        await service.ask(1)
        await service.journal.has("sent")
    assert said(server) == ["TEXT 1"]


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_bad_input_53_a_server_error_after_the_platform_took_it_makes_no_duplicate(serve: Serve, status: int) -> None:
    server = FailsAfterwards()
    server.status = status
    async with server:
        service = await serve(server.url)
        await service.ask(1, 2)
        await service.journal.has("sent", times=2)
    assert said(server) == ["TEXT 1", "TEXT 2"]
    assert server.requests == 2


async def test_a_platform_that_is_away_gets_everything_when_it_is_back(serve: Serve) -> None:
    async with ChatServer() as server, proxied(server) as (proxy, url):
        proxy.refuse()
        service = await serve(url)
        await service.ask(1, 2)
        await service.journal.has("retry", times=2)
        await proxy.restore()
        await service.journal.has("sent", times=2)
    assert said(server) == ["TEXT 1", "TEXT 2"]
    assert service.dialogue.asked == ["text 1", "text 2"]  # a platform that is away costs no second run of the model
