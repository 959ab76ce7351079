"""A busy Discord: how it is kept up with, how often it is asked too quickly, whether the gateway hears from us, and what guilds weigh.

make bench-discord_load ARGS="--seconds 60 --per-second 50"
make bench-discord_load ARGS="--seconds 0 --guilds 2500"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import psutil

from bot.setting_groups import Discord
from bot.settings import Settings
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from tests.bench import discord_worker
from tests.bench.delivery import on, until_answered
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_gateway import Connection
from tests.servers.discord_state import GUILD, HELP, TEXT, Channel, Guild, Json
from tests.servers.processes import quick_to_start

HEARTBEAT_MS = 2000  # Discord asks for 41,250; so many more can be missed in a minute
PEOPLE, TO_BOT = 300, 0.2  # one message in five asks the bot; it answers in a thread of its own
RATES = {"create_message": (5, 5.0), "thread_of_message": (50, 300.0), "type": (5, 5.0), "edit_message": (5, 5.0)}  # of one channel
CHANNELS_OF_GUILD = 20


@dataclass(eq=False)
class Watched(DiscordPlatform):
    """Remembers when the bot's heart beat."""

    beats: list[float] = field(default_factory=list)

    def _heard(self, here: Connection, said: Json) -> None:
        if said["op"] == 1:
            self.beats.append(time.monotonic())
        super()._heard(here, said)


async def load(seconds: float, per_second: float, database_url: str) -> dict[str, Any]:
    """Return what came of messages of which one in five asks the bot, while a model is busy in its process."""
    database = Database(database_url)
    await database.upgrade()
    async with Watched(heartbeat_ms=HEARTBEAT_MS, rates=RATES, a_second=50) as discord:
        channels = _channels(discord)
        process = _start(discord_worker.serve, database_url, discord)
        await discord.until(lambda: discord.connected, seconds=60)
        asked = await _talk(discord, channels, int(seconds * per_second), per_second)
        spoken_until, invalid = time.monotonic(), discord.invalid
        complete = await until_answered(SqlInbox(database))
        process.kill()
        gaps = [later - earlier for earlier, later in zip(discord.beats, discord.beats[1:], strict=False)]
        figures = {
            "messages": int(seconds * per_second), "asked": asked, "answers": len(discord.by_bot()), "complete": complete,
            "catching_up_s": round(time.monotonic() - spoken_until, 1), "requests": len(discord.calls),
            "invalid_requests": discord.invalid, "invalid_meanwhile": invalid, "heartbeats": len(discord.beats),
            "longest_between_heartbeats_s": round(max(gaps, default=0.0), 2), "heartbeat_s": HEARTBEAT_MS / 1000,
            "sessions": len(discord.identifies),
        }  # fmt: skip
    await database.close()
    return figures


async def weigh(guilds: int, database_url: str) -> dict[str, Any]:
    """Return what a process weighs that listens to so many guilds, and to one."""
    database = Database(database_url)
    await database.upgrade()
    megabytes, seconds = {}, 0.0
    for count in (1, guilds):
        async with DiscordPlatform() as discord:
            for number in range(1, count):
                _add_guild(discord, GUILD + (number << 22))
            began = time.monotonic()
            process = _start(discord_worker.listen, database_url, discord)
            await discord.until(lambda: discord.connected, seconds=60)
            said = await discord.direct(GUILD + 4, "hello")  # answered by nobody here; stored when all guilds are known
            while not await _is_stored(database, said.id):  # noqa: ASYNC110  # it is another process that stores it
                await asyncio.sleep(0.2)
            seconds = time.monotonic() - began
            megabytes[count] = psutil.Process(process.pid).memory_info().rss / 2**20
            process.kill()
    await database.close()
    more = megabytes[guilds] - megabytes[1]
    told = {"guilds": guilds, "channels": guilds * CHANNELS_OF_GUILD, "rss_mib": round(megabytes[guilds], 1)}
    return told | {"rss_of_one_mib": round(megabytes[1], 1), "kib_a_guild": round(more * 1024 / guilds, 1), "ready_s": round(seconds, 1)}


def _start(target: Any, database_url: str, discord: DiscordPlatform) -> Any:
    settings = Settings(discord=Discord(bot_token=discord.token, message_content=True))
    process = quick_to_start().Process(target=target, args=(database_url, settings, discord.url), daemon=True)
    process.start()
    return process


def _channels(discord: DiscordPlatform) -> list[int]:
    """Twenty channels to talk in."""
    made = [Channel(GUILD + 500 + number, TEXT, f"help-{number}", GUILD) for number in range(CHANNELS_OF_GUILD)]
    discord.channels |= {one.id: one for one in made}
    for number in range(PEOPLE):
        discord.person(GUILD + 100_000 + number, f"person{number}")
    return [HELP, *(one.id for one in made)]


def _add_guild(discord: DiscordPlatform, guild_id: int) -> None:
    discord.guilds[guild_id] = Guild(guild_id, f"Shop {guild_id}", discord.bot, members={discord.bot: []})
    for number in range(CHANNELS_OF_GUILD):
        channel = Channel(guild_id + 1 + number, TEXT, f"channel-{number}", guild_id)
        discord.channels[channel.id] = channel


async def _talk(discord: DiscordPlatform, channels: list[int], count: int, per_second: float) -> int:
    began, asked = time.monotonic(), 0
    every = round(1 / TO_BOT)
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
        to_bot = number % every == 0
        asked += to_bot
        await discord.say(GUILD + 100_000 + number % PEOPLE, channels[number % len(channels)], f"{number}-0", mention=to_bot)
    return asked


async def _is_stored(database: Database, message_id: int) -> bool:
    async with database.read() as connection:
        return bool((await connection.exec_driver_sql(f"SELECT count(*) FROM inbox WHERE message_id = '{message_id}'")).scalar())


def main() -> None:
    """Run what is asked for; the last line on stdout is one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long people talk; 0 leaves it out")
    parser.add_argument("--per-second", type=float, default=50.0, help="messages")
    parser.add_argument("--guilds", type=int, default=0, help="also weigh a process that listens to so many")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    asked = parser.parse_args()
    figures: dict[str, Any] = {}
    if asked.seconds:
        figures["load"] = asyncio.run(on(asked.database, partial(load, asked.seconds, asked.per_second)))
    if asked.guilds:
        figures["guilds"] = asyncio.run(on(asked.database, partial(weigh, asked.guilds)))
    for title, told in figures.items():
        print(title, *(f"  {name:<30} {value}" for name, value in told.items()), sep="\n")
    versions = {name: version(name) for name in ("discord.py", "aiohttp", "sqlalchemy")}
    print(
        json.dumps(
            figures | {"database": asked.database, "versions": versions, "python": platform.python_version(), "cpus": os.cpu_count()}
        )
    )


if __name__ == "__main__":
    main()
