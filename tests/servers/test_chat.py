"""The chat platform fails as it was told to, and its adapter says which failure it was."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from core.domain import Actor, Address, Decision, InboundMessage, Lineage, Reason, Reply, utc_now
from core.errors import DeliveryError, RateLimitedError, RefusedError, UncertainError
from core.ports import ChatAdapter, Delivery
from tests.servers.chat import ChatServer
from tests.servers.chat_adapter import HttpChatAdapter
from tests.servers.fault_proxy import Fault, FaultProxy

ROOT = Path(__file__).parent.parent.parent
ADDRESS = Address("chat", "w", "c1", "t1")
Adapt = Callable[[ChatServer], Awaitable[HttpChatAdapter]]


def reply(text: str = "hello") -> Reply:
    return Reply(Decision.DIRECT, Reason.CONFIDENT, text, (), 1.0, Lineage("m", "i", "p", "e", "policy"))


def parcel(key: str, said: str = "hello") -> Delivery:
    return Delivery(1, "lease", ADDRESS, "turn", reply(said), key, 1, uncertain=False, asked_at=utc_now())


@pytest.fixture
async def adapter_of() -> AsyncIterator[Adapt]:
    """Starts a server and gives its adapter; both are closed after the test."""
    async with asyncio.timeout(30), AsyncExitStack() as stack:

        async def adapted(server: ChatServer) -> HttpChatAdapter:
            await stack.enter_async_context(server)
            return await stack.enter_async_context(HttpChatAdapter(server.url))

        yield adapted


@pytest.fixture
async def proxied() -> AsyncIterator[tuple[ChatServer, FaultProxy, HttpChatAdapter]]:
    """A server, the proxy before it, and an adapter that goes through the proxy."""
    async with asyncio.timeout(30), ChatServer() as server, AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(FaultProxy(("127.0.0.1", server.port)))
        yield server, proxy, await stack.enter_async_context(HttpChatAdapter(f"http://127.0.0.1:{proxy.port}"))


async def test_what_is_sent_is_stored_logged_and_found(adapter_of: Adapt, tmp_path: Path) -> None:
    server = ChatServer(log=tmp_path / "log")
    adapter: ChatAdapter = await adapter_of(server)
    references = [await adapter.send(parcel(text, text)) for text in ("one", "zwei\n二")]
    assert [await adapter.find(parcel(key)) for key in ("one", "zwei\n二", "three")] == [*references, None]
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{server.url}/log")).json() == lines
    assert [(line["channel"], line["thread"], line["key"], line["text"], line["id"]) for line in lines] == [
        ("c1", "t1", "one", "one", references[0]),
        ("c1", "t1", "zwei\n二", "zwei\n二", references[1]),
    ]


async def test_a_key_is_looked_for_in_its_own_conversation(adapter_of: Adapt) -> None:
    adapter = await adapter_of(ChatServer())
    await adapter.send(parcel("k"))
    assert await adapter.find(parcel("k")._replace(address=Address("chat", "w", "c1", "t2"))) is None


async def test_a_message_that_is_sent_twice_is_there_twice(adapter_of: Adapt) -> None:
    server = ChatServer()
    adapter = await adapter_of(server)
    first, second = [await adapter.send(parcel("k")) for _ in range(2)]
    assert first != second
    assert len(server.messages) == 2


async def test_a_platform_with_nonces_takes_a_key_once(adapter_of: Adapt) -> None:
    server = ChatServer(nonce=True)
    adapter = await adapter_of(server)
    assert await adapter.send(parcel("k")) == await adapter.send(parcel("k"))
    assert len(server.messages) == 1


async def test_a_reset_comes_after_the_message_was_stored_and_reading_back_finds_it(adapter_of: Adapt) -> None:
    server = ChatServer(reset=1.0)
    adapter = await adapter_of(server)
    with pytest.raises(UncertainError):
        await adapter.send(parcel("k"))
    assert await adapter.find(parcel("k")) == server.messages[0].id


async def test_a_limit_says_when_to_come_back_and_stores_nothing(adapter_of: Adapt) -> None:
    server = ChatServer(limit=1.0)
    adapter = await adapter_of(server)
    with pytest.raises(RateLimitedError) as caught:
        await adapter.send(parcel("k"))
    assert caught.value.seconds == 0.2
    assert await adapter.find(parcel("k")) is None


async def test_faults_come_as_often_as_told_and_alike_for_one_seed(adapter_of: Adapt) -> None:
    async def play(seed: int) -> list[str]:
        adapter = await adapter_of(ChatServer(seed=seed, reset=0.2, limit=0.2))
        met = []
        for number in range(200):
            try:
                await adapter.send(parcel(str(number)))
                met.append("taken")
            except DeliveryError as error:
                met.append(type(error).__name__)
        return met

    first, second, other = await play(1), await play(1), await play(2)
    assert first == second != other
    often = Counter(first)
    assert 20 <= often["UncertainError"] <= 60, often
    assert 20 <= often["RateLimitedError"] <= 60, often


async def test_a_channel_that_is_gone_never_takes_a_message(adapter_of: Adapt) -> None:
    adapter = await adapter_of(ChatServer(gone={"c1"}))
    with pytest.raises(RefusedError):
        await adapter.send(parcel("k"))


async def test_an_address_that_is_not_there_never_takes_a_message() -> None:
    async with ChatServer() as server, HttpChatAdapter(f"{server.url}/elsewhere") as adapter:
        with pytest.raises(RefusedError):
            await adapter.send(parcel("k"))


async def test_a_refused_connection_is_certain(proxied: tuple[ChatServer, FaultProxy, HttpChatAdapter]) -> None:
    server, proxy, adapter = proxied
    proxy.refuse()
    with pytest.raises(DeliveryError) as caught:
        await adapter.send(parcel("k"))
    assert not isinstance(caught.value, UncertainError)
    assert server.messages == []


@pytest.mark.parametrize(("fault", "stored"), [(Fault.RESET, 0), (Fault.ACCEPT_THEN_RESET, 1)])
async def test_a_connection_that_breaks_is_uncertain_whether_or_not_the_message_arrived(
    proxied: tuple[ChatServer, FaultProxy, HttpChatAdapter], fault: Fault, stored: int
) -> None:
    server, proxy, adapter = proxied
    proxy.planned.append(fault)
    with pytest.raises(UncertainError):
        await adapter.send(parcel("k"))
    assert len(server.messages) == stored
    assert (await adapter.find(parcel("k")) is not None) == bool(stored)


async def test_a_read_back_that_fails_is_a_delivery_error_and_not_uncertain(
    proxied: tuple[ChatServer, FaultProxy, HttpChatAdapter],
) -> None:
    _, proxy, adapter = proxied
    proxy.planned.append(Fault.RESET)
    with pytest.raises(DeliveryError) as caught:
        await adapter.find(parcel("k"))
    assert not isinstance(caught.value, UncertainError)


async def test_one_failure_is_one_request(adapter_of: Adapt) -> None:
    server = ChatServer(reset=1.0)
    adapter = await adapter_of(server)
    with pytest.raises(UncertainError):
        await adapter.send(parcel("k"))
    assert server.requests == 1


async def test_a_preview_shows_nothing_and_is_counted(adapter_of: Adapt) -> None:
    server = ChatServer()
    adapter = await adapter_of(server)
    await adapter.preview(InboundMessage("m", ADDRESS, Actor("ann"), "?"), "attempt", "hel")
    assert (adapter.previews, server.messages) == (1, [])


async def test_it_runs_as_a_process_that_tells_where_and_keeps_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.servers.chat", "--nonce", "--log", log, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30), HttpChatAdapter((await process.stdout.readline()).decode().strip()) as adapter:
        sent = [await adapter.send(parcel("k")) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert [json.loads(line)["id"] for line in log.read_text().splitlines()] == sent[:1]
