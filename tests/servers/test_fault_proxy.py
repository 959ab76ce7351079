"""The proxy breaks connections in the ways it says, and leaves the others alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.servers.fault_proxy import Fault, FaultProxy


@dataclass
class Echo:
    """Answers every line with itself; `bye` also closes."""

    port: int
    heard: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.append(line)
            writer.write(line)
            if line == b"bye\n":
                break
        writer.close()


@dataclass
class Client:
    """A connection through the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, line: bytes) -> bytes:
        self.writer.write(line)
        return await self.reader.readline()


Connect = Callable[[FaultProxy], Awaitable[Client]]


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    served = Echo(0)
    async with await asyncio.start_server(served.serve, "127.0.0.1", 0) as server:
        served.port = server.sockets[0].getsockname()[1]
        yield served


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[FaultProxy]:
    async with asyncio.timeout(20), FaultProxy(("127.0.0.1", echo.port)) as opened:
        yield opened


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Gives connections through a proxy; closed after the test."""
    async with AsyncExitStack() as stack:

        async def connected(proxy: FaultProxy) -> Client:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            stack.callback(writer.close)
            return Client(reader, writer)

        yield connected


async def test_without_a_fault_everything_passes(proxy: FaultProxy, connect: Connect) -> None:
    client = await connect(proxy)
    assert await client.ask(b"one\n") == b"one\n"
    assert await client.ask(b"bye\n") == b"bye\n"
    assert await client.reader.read() == b""
    assert proxy.accepted == 1


async def test_an_upstream_may_be_a_unix_socket(tmp_path: Path, connect: Connect) -> None:
    served = Echo(0)
    async with await asyncio.start_unix_server(served.serve, tmp_path / "socket"), FaultProxy(tmp_path / "socket") as proxy:
        client = await connect(proxy)
        assert await client.ask(b"one\n") == b"one\n"
        assert await client.ask(b"bye\n") == b"bye\n"


async def test_latency_delays_the_request(proxy: FaultProxy, connect: Connect) -> None:
    proxy.latency = 0.2
    client, loop = await connect(proxy), asyncio.get_running_loop()
    started = loop.time()
    assert await client.ask(b"one\n") == b"one\n"
    assert loop.time() - started >= 0.2


async def test_reset_breaks_off_before_the_upstream_hears_anything(proxy: FaultProxy, connect: Connect, echo: Echo) -> None:
    proxy.fault = Fault.RESET
    with pytest.raises(ConnectionResetError):
        await (await connect(proxy)).ask(b"one\n")
    assert echo.heard == []


async def test_accept_then_reset_breaks_off_after_the_upstream_has_answered(proxy: FaultProxy, connect: Connect, echo: Echo) -> None:
    proxy.fault = Fault.ACCEPT_THEN_RESET
    with pytest.raises(ConnectionResetError):
        await (await connect(proxy)).ask(b"one\n")
    assert echo.heard == [b"one\n"]


async def test_half_open_accepts_and_never_answers(proxy: FaultProxy, connect: Connect, echo: Echo) -> None:
    proxy.fault = Fault.HALF_OPEN
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await (await connect(proxy)).ask(b"one\n")
    assert echo.heard == []


async def test_slow_close_passes_the_answer_at_once_and_the_end_later(proxy: FaultProxy, connect: Connect) -> None:
    proxy.fault, proxy.close_delay = Fault.SLOW_CLOSE, 0.2
    client, loop = await connect(proxy), asyncio.get_running_loop()
    assert await client.ask(b"bye\n") == b"bye\n"
    answered = loop.time()
    assert await client.reader.read() == b""
    assert loop.time() - answered >= 0.15


async def test_refuse_closes_the_listener_and_restore_opens_it_on_the_same_port(proxy: FaultProxy, connect: Connect) -> None:
    open_before = await connect(proxy)
    assert await open_before.ask(b"one\n") == b"one\n"
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connect(proxy)
    assert await open_before.ask(b"two\n") == b"two\n"
    await proxy.restore()
    assert proxy.port == port
    assert await (await connect(proxy)).ask(b"three\n") == b"three\n"


async def test_an_upstream_that_is_not_there_resets_the_client(connect: Connect) -> None:
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0) as server:
        gone = server.sockets[0].getsockname()[1]
    async with FaultProxy(("127.0.0.1", gone)) as proxy:
        with pytest.raises(ConnectionResetError):
            await (await connect(proxy)).ask(b"one\n")


async def test_one_open_connection_can_be_broken_and_the_others_not(proxy: FaultProxy, connect: Connect) -> None:
    first, second = await connect(proxy), await connect(proxy)
    assert await first.ask(b"one\n") + await second.ask(b"two\n") == b"one\ntwo\n"
    proxy.connections[0].fault = Fault.ACCEPT_THEN_RESET
    with pytest.raises(ConnectionResetError):
        await first.ask(b"one\n")
    assert await second.ask(b"two\n") == b"two\n"


async def test_inject_reaches_open_and_new_connections_and_can_be_taken_back(proxy: FaultProxy, connect: Connect) -> None:
    client = await connect(proxy)
    assert await client.ask(b"one\n") == b"one\n"
    proxy.inject(Fault.RESET)
    for broken in (client, await connect(proxy)):
        with pytest.raises(ConnectionResetError):
            await broken.ask(b"one\n")
    proxy.inject()
    assert await (await connect(proxy)).ask(b"two\n") == b"two\n"


async def test_planned_faults_take_one_connection_each(proxy: FaultProxy, connect: Connect) -> None:
    proxy.planned.append(Fault.RESET)
    with pytest.raises(ConnectionResetError):
        await (await connect(proxy)).ask(b"one\n")
    assert await (await connect(proxy)).ask(b"two\n") == b"two\n"


async def test_reset_connections_breaks_off_whoever_waits(proxy: FaultProxy, connect: Connect) -> None:
    client = await connect(proxy)
    assert await client.ask(b"one\n") == b"one\n"
    proxy.reset_connections()
    with pytest.raises(ConnectionResetError):
        await client.reader.readline()
