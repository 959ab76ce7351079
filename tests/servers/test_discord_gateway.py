"""The gateway of the local Discord, spoken to by the unmodified discord.py: sessions, shards, intents, and what breaks."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord
import pytest

from tests.servers.discord import DiscordPlatform, pointed_at
from tests.servers.discord_client import Bot
from tests.servers.discord_state import ANN, BOB, BOT, GUILD, HELP, Can


@pytest.fixture
async def server() -> AsyncIterator[DiscordPlatform]:
    async with asyncio.timeout(30), DiscordPlatform() as started:
        with pointed_at(started):
            yield started


@pytest.fixture
async def bot(server: DiscordPlatform) -> AsyncIterator[Bot]:
    async with Bot().running(server.token) as client:
        yield client


async def test_a_client_that_is_ready_knows_its_guild_and_who_it_is(server: DiscordPlatform, bot: Bot) -> None:
    guild = bot.get_guild(GUILD)
    assert guild
    assert (guild.name, guild.me.id, sorted(one.name for one in guild.channels)) == ("Shop", BOT, ["help", "questions"])
    assert guild.get_channel(HELP).permissions_for(guild.me).manage_threads
    assert [one["shard"] for one in server.identifies] == [0]
    assert server.connections[0].beats == 1


async def test_a_broken_connection_is_resumed_and_what_was_missed_is_replayed(server: DiscordPlatform, bot: Bot) -> None:
    await server.say(ANN, HELP, "one")
    await bot.hears("message")
    with server.hold_gateway():
        await server.drop()
        await server.say(ANN, HELP, "two")
    await bot.hears("resumed")
    await server.say(ANN, HELP, "three")
    await bot.hears("message", 3)
    assert [one.content for one in bot.of("message")] == ["one", "two", "three"]
    assert (len(server.identifies), len(server.resumes)) == (1, 1)


@pytest.mark.parametrize("how", ["close", "reconnect", "invalidate_resumable"])
async def test_a_client_that_is_told_to_go_resumes(server: DiscordPlatform, bot: Bot, how: str) -> None:
    await {"close": lambda: server.close(4000), "reconnect": server.reconnect}.get(how, lambda: server.invalidate(resumable=True))()
    await bot.hears("resumed")
    assert len(server.identifies) == 1


async def test_a_session_that_is_invalid_begins_again_and_what_was_missed_is_lost(server: DiscordPlatform, bot: Bot) -> None:
    await server.say(ANN, HELP, "lost", tell=False)
    await server.invalidate()
    await bot.hears("ready", 2)
    assert (len(server.identifies), bot.of("message")) == (2, [])


@pytest.mark.parametrize(("code", "kept"), [(1000, 0), (4000, 1)])
async def test_a_session_outlives_its_connection_unless_that_is_closed_for_good(server: DiscordPlatform, code: int, kept: int) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(server.gateway_url) as socket:
        await socket.send_json({"op": 2, "d": {"token": server.token, "intents": 0}})
        await server.until(lambda: server.connected)
        await socket.close(code=code)
    await server.until(lambda: not server.connections)
    assert (server.closes, len(server.sessions)) == ([code], kept)


async def test_intents_that_are_not_granted_end_the_client(server: DiscordPlatform) -> None:
    server.privileged_content = False
    async with Bot() as client:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await client.start(server.token)
    async with Bot(content=False).running(server.token) as client:
        with pytest.raises(discord.ConnectionClosed) as closed:
            await asyncio.gather(server.close(4013), *(one for one in [client.listening] if one))
        assert closed.value.code == 4013


async def test_without_the_intent_contents_are_withheld_but_for_the_bot(server: DiscordPlatform) -> None:
    async with Bot(content=False).running(server.token) as bot:
        await server.say(ANN, HELP, "secret", attachments=[{"id": "1", "filename": "a", "size": 1, "url": "u", "proxy_url": "u"}])
        await server.say(ANN, HELP, "for you", mention=True)
        mine = await bot.text(HELP).send("mine")
        await server.say(ANN, HELP, "an answer", reply_to=mine.id)
        await server.say(ANN, HELP, "a quiet answer", reply_to=mine.id, ping=False)
        await server.direct(ANN, "direct")
        await bot.hears("message", 6)
        heard = [one.content for one in bot.of("message")]
        assert heard == ["", f"<@{BOT}> for you", "mine", "an answer", "", "direct"]
        assert bot.of("message")[0].attachments == []


async def test_two_sessions_on_a_shard_hear_the_same(server: DiscordPlatform, bot: Bot) -> None:
    async with Bot().running(server.token) as other:
        await server.say(ANN, HELP, "hello")
        assert (await bot.hears("message")).id == (await other.hears("message")).id


async def test_a_guild_is_told_of_on_its_shard_and_direct_messages_on_the_first(server: DiscordPlatform) -> None:
    second = GUILD + (1 << 22)
    one, other = (Bot(shard_id=number, shard_count=2) for number in range(2))
    async with one.running(server.token) as first, other.running(server.token) as last:
        await server.join(second)
        await last.hears("guild_join")
        await server.say(ANN, second + 1, "there")
        await server.say(ANN, HELP, "here")
        await server.direct(ANN, "alone")
        await first.hears("message", 2)
        await last.hears("message")
        await server.leave(second)
        await last.hears("guild_remove")
    assert [one.content for one in first.of("message")] == ["here", "alone"]
    assert [one.content for one in last.of("message")] == ["there"]


async def test_edits_deletions_reactions_typing_and_channels_are_told(server: DiscordPlatform, bot: Bot) -> None:
    said = await server.say(ANN, HELP, "teh parcel")
    await server.edit(said.id, "the parcel")
    assert (await bot.hears("raw_message_edit")).message.content == "the parcel"
    await server.unfurl(said.id)
    assert (await bot.hears("raw_message_edit", 2)).message.embeds[0].title == "A page"
    await server.react(BOB, said.id, "👍")
    assert (await bot.hears("raw_reaction_add")).emoji.name == "👍"
    await server.typing(BOB, HELP)
    assert (await bot.hears("raw_typing")).user_id == BOB
    await server.remove(said.id)
    assert (await bot.hears("raw_message_delete")).message_id == said.id
    thread = await server.start_thread(BOB, (await server.say(ANN, HELP, "why?")).id, "why")
    await server.change(thread.id, locked=True)
    assert (await bot.hears("thread_update")).locked
    await server.delete(thread.id)
    assert (await bot.hears("raw_thread_delete")).thread_id == thread.id
    await server.deny(HELP, Can.SEND_MESSAGES)
    changed = await bot.hears("guild_channel_update")
    assert not changed.permissions_for(changed.guild.me).send_messages


async def test_a_channel_that_the_bot_does_not_see_is_not_told_of(server: DiscordPlatform, bot: Bot) -> None:
    await server.deny(HELP, Can.VIEW_CHANNEL)
    await server.say(ANN, HELP, "unseen")
    await server.direct(ANN, "seen")
    await bot.hears("message")
    assert [one.content for one in bot.of("message")] == ["seen"]


@pytest.mark.parametrize("compress", ["", "&compress=zlib-stream"])
async def test_other_clients_speak_plain_or_compressed_json(server: DiscordPlatform, compress: str) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.gateway_url}?v=10&encoding=json{compress}") as socket:
        inflate = zlib.decompressobj()

        async def heard() -> Any:
            frame = await socket.receive()
            return json.loads(inflate.decompress(frame.data) if compress else frame.data)

        assert (await heard())["d"]["heartbeat_interval"] == server.heartbeat_ms
        await socket.send_json({"op": 2, "d": {"token": server.token, "intents": 1 << 9, "properties": {}}})
        assert (await heard())["t"] == "READY"
        await server.say(ANN, HELP, "hello")
        assert (await heard())["d"]["content"] == ""
        await socket.send_json({"op": 2, "d": {"token": "other", "intents": 0}})
        assert (await socket.receive()).data == 4005


async def test_identifies_in_a_hurry_are_refused_and_what_is_left_of_the_day_is_told(server: DiscordPlatform) -> None:
    server.identify_seconds, server.max_concurrency = 5.0, 2
    said = []
    async with aiohttp.ClientSession() as http:
        for shard in (0, 1, 2):
            async with http.ws_connect(server.gateway_url) as socket:
                await socket.receive()
                await socket.send_json({"op": 2, "d": {"token": server.token, "intents": 0, "shard": [shard, 3]}})
                said.append((await socket.receive_json())["op"])
    assert said == [0, 0, 9]
    async with Bot() as client:
        await client.login(server.token)
        shards, _, limit = await client.http.get_bot_gateway()
        assert (shards, limit["remaining"], limit["max_concurrency"]) == (1, 997, 2)


@pytest.mark.parametrize(("given", "code"), [({"token": "other"}, 4004), ({"shard": [2, 2]}, 4010), ({"intents": 1 << 30}, 4013)])
async def test_an_identify_that_is_wrong_is_closed_with_its_code(server: DiscordPlatform, given: dict[str, Any], code: int) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(server.gateway_url) as socket:
        await socket.receive()
        await socket.send_json({"op": 2, "d": {"token": server.token, "intents": 0} | given})
        assert (await socket.receive()).data == code
