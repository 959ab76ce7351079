"""Socket Mode of the local Slack: who gets an envelope, what becomes of one without acknowledgement, how connections end."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from tests.servers.slack import SlackPlatform
from tests.servers.slack_app import heard_of, over_socket
from tests.servers.slack_events import Answer

C = "C0HELP"


async def test_an_app_that_is_never_connected_is_no_answer() -> None:
    async with SlackPlatform(transport="socket", connect_seconds=0.01) as server:
        assert (await server.say("U0ANN", C, "x")).answers == [Answer(0, "no_connection")]


async def test_each_envelope_goes_to_one_of_the_connections_in_turn() -> None:
    async with asyncio.timeout(30), SlackPlatform(transport="socket") as server, AsyncExitStack() as stack:
        both = [heard_of(server) for _ in range(2)]
        for one in both:
            await stack.enter_async_context(over_socket(server, one.app))
        for number in range(4):
            await server.say("U0ANN", C, str(number))
        await server.until(lambda: sum(len(one.events) for one in both) == 4)
        assert [len(one.events) for one in both] == [2, 2]
        assert server.envelopes[0]["retry_attempt"] == 0
        assert server.envelopes[0]["accepts_response_payload"] is False


async def raw_link(server: SlackPlatform, stack: AsyncExitStack) -> Any:
    """A connection that acknowledges nothing by itself."""
    opened = await AsyncWebClient(base_url=f"{server.url}/api/").apps_connections_open(app_token=server.app_token)
    session = await stack.enter_async_context(aiohttp.ClientSession())
    return await session.ws_connect(opened["url"])


async def test_an_envelope_without_acknowledgement_is_sent_again_with_its_attempt() -> None:
    async with asyncio.timeout(30), SlackPlatform(transport="socket", ack_seconds=0.05) as server, AsyncExitStack() as stack:
        link = await raw_link(server, stack)
        hello = await link.receive_json()
        assert (hello["type"], hello["num_connections"], hello["connection_info"]) == ("hello", 1, {"app_id": server.app_id})
        saying = asyncio.create_task(server.say("U0ANN", C, "x"))
        first, second = await link.receive_json(), await link.receive_json()
        assert [(one["retry_attempt"], one["retry_reason"]) for one in (first, second)] == [(0, ""), (1, "timeout")]
        assert first["payload"]["event_id"] == second["payload"]["event_id"]
        server.ack_seconds = 10.0
        third = await link.receive_json()
        await link.close()  # before it has acknowledged: another connection gets it
        other = await raw_link(server, stack)
        await other.receive_json()
        fourth = await other.receive_json()
        assert (third["retry_attempt"], fourth["retry_attempt"], fourth["retry_reason"]) == (2, 3, "connection_closed")
        await other.send_json({"envelope_id": fourth["envelope_id"]})
        assert (await saying).answers == [Answer(200, "")]
        await other.close()


async def test_tickets_are_good_once_and_ten_connections_are_the_most() -> None:
    async with asyncio.timeout(30), SlackPlatform(transport="socket") as server, AsyncExitStack() as stack:
        links = [await raw_link(server, stack) for _ in range(11)]
        assert [(await one.receive_json())["type"] for one in links] == ["hello"] * 10 + ["disconnect"]
        assert len(server.links) == 10
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(f"{server.url}/link?ticket=ticket-1&app_id={server.app_id}")
        for one in links:
            await one.close()


async def test_a_renewed_connection_is_warned_and_the_app_comes_back_on_another() -> None:
    async with asyncio.timeout(30), SlackPlatform(transport="socket", warning_seconds=0.01) as server, AsyncExitStack() as stack:
        link = await raw_link(server, stack)
        await link.receive_json()
        await server.refresh()
        assert [(await link.receive_json())["reason"] for _ in range(2)] == ["warning", "refresh_requested"]
        assert (await link.receive()).type.name == "CLOSE"
        await link.close()
        server.warning_seconds = 10.0
        heard = heard_of(server)
        await stack.enter_async_context(over_socket(server, heard.app))
        [old] = server.links
        await server.refresh()
        await server.until(lambda: server.links and server.links != [old])
        await server.say("U0ANN", C, "still there?")
        await server.until(lambda: heard.events)
