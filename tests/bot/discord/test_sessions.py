"""Sessions of the gateway are begun one after the other, by whichever process, and none when the day's are nearly used up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from bot.discord import sessions
from bot.discord.client import ALL_SHARDS, Shards, shards_of
from bot.setting_groups import Discord
from core.errors import SettingsError
from core.storage.database import Database
from tests.bot.discord.office import REFUNDS, office
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_state import ANN, GUILD, HELP

APART = 0.3  # seconds

Open = Callable[[str], Awaitable[Database]]


async def test_processes_with_several_shards_begin_their_sessions_one_after_the_other(open_database: Open) -> None:
    database = await open_database("sqlite")
    async with DiscordPlatform(shards=2) as server:
        server.identify_seconds = APART
        async with office(database, server, apart=APART + 0.4), office(database, server, apart=APART + 0.4):
            await server.until(lambda: len(server.connected) == 4)
        assert len(server.identifies) == 4, "Discord refuses what is too quick, and then there are more"
        assert all(later["at"] - earlier["at"] >= APART for earlier, later in pairwise(server.identifies))


async def test_when_few_sessions_are_left_none_is_begun_until_there_are_more(open_database: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PAUSE_SECONDS", 0.05)
    async with DiscordPlatform() as server:
        server.starts = sessions.RESERVE
        async with office(await open_database("sqlite"), server, is_open=False) as desk:
            running = asyncio.create_task(desk.parts.gateway.run())
            await server.until(lambda: len(server.of("gateway_bot")) >= 4)
            assert server.identifies == []
            assert f"only {sessions.RESERVE} sessions" in desk.parts.gateway.problem
            server.starts = 1000
            await server.until(lambda: server.connected)
            assert desk.parts.gateway.problem == ""
            running.cancel()
            await asyncio.wait([running])


async def test_a_process_listens_to_its_part_of_the_guilds(open_database: Open) -> None:
    database, mine = await open_database("sqlite"), (GUILD >> 22) % 2
    async with DiscordPlatform(shards=2) as server, office(database, server, shards=f"{1 - mine}/2") as other:
        asked = await server.say(ANN, HELP, REFUNDS, mention=True)
        await other.quiet()
        assert other.texts(asked.id) == []
        async with office(database, server, shards=f"{mine}/2") as desk:
            await desk.ask(ANN, REFUNDS)
            assert [(one["shard"], one["count"]) for one in server.identifies] == [(1 - mine, 2), (mine, 2)]


def test_shards_are_a_part_of_so_many() -> None:
    assert shards_of("") == ALL_SHARDS
    assert shards_of("3/4") == Shards([3], 4)
    assert shards_of("0-3/16") == Shards([0, 1, 2, 3], 16)


@pytest.mark.parametrize("asked", ["4/4", "2-1/4", "0-4/4", "0/0"])
def test_shards_that_there_are_not_are_told(asked: str) -> None:
    with pytest.raises(SettingsError, match=r"discord\.shards"):
        shards_of(asked)


@pytest.mark.parametrize("asked", ["1", "a/b", "1-/2", "-1/2", "1/2/3"])
def test_what_is_no_part_is_refused(asked: str) -> None:
    with pytest.raises(ValueError, match="shards"):
        Discord(shards=asked)
