"""The kill test through the real Discord adapter: workers and the ways in die all the time, Discord breaks off and says 429.

What is said while nobody listens is not told again: it must be read later. Two processes listen at once and hear everything twice.
Every question must have exactly one answer, in order, by what stands in the threads, posts and direct messages of the local Discord.

make bench-discord ARGS="--messages 2000 --conversations 200 --workers 4 --database postgresql --previews"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

from bot.discord.unfinished import MARK
from bot.setting_groups import Discord
from bot.settings import Settings
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from tests.bench import discord_worker
from tests.bench.delivery import Team, Trial, claims, on, until_answered, verdict
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_state import FORUM, GUILD, HELP, Message

FIRST_PERSON = GUILD + 100_000
PATIENCE_SECONDS = 60.0  # for the thread that a first question gets
BREAKAGES = ("none", "nonce")


@dataclass(frozen=True, slots=True)
class DiscordTrial(Trial):
    """What is done to the workers, and to the ways in."""

    previews: bool = False
    listeners: int = 2  # processes that hear everything
    door_every: float | None = 4.0  # seconds between kills of one of them; None kills none
    per_second: float = 20.0  # questions, as far as threads are there in time; what is missed is read later, 100 messages a channel


async def run(trial: DiscordTrial, database_url: str) -> dict[str, Any]:
    """Return what became of every question: `lost`, `twice` and `out_of_order` must be 0."""
    database = Database(database_url)
    await database.upgrade()
    async with AsyncExitStack() as stack:
        discord = await stack.enter_async_context(DiscordPlatform(seed=trial.seed, reset=trial.reset, limit=trial.limit))
        settings = Settings(discord=Discord(bot_token=discord.token, message_content=True))
        way_in = Team(
            replace(trial, workers=trial.listeners, kill_every=trial.door_every), database_url, settings, discord.url,
            target=discord_worker.listen,
        )  # fmt: skip
        await stack.enter_async_context(way_in)
        workers = Team(trial, database_url, settings, discord.url, trial.previews, trial.broken, target=discord_worker.work)
        await stack.enter_async_context(workers)
        await discord.until(lambda: len(discord.connected) >= trial.listeners, seconds=PATIENCE_SECONDS)
        asked = await _feed(trial, discord)
        await discord.until(lambda: len(discord.connected) >= trial.listeners, seconds=PATIENCE_SECONDS)
        complete = await _all_answered(discord, asked) and await until_answered(SqlInbox(database))
        with suppress(TimeoutError):  # what shows a preview that came late takes it away
            await discord.until(lambda: not _left(discord), seconds=5)
    figures = verdict(asked, _answers(discord)) | await claims(database)
    await database.close()
    figures["twice"] += len(_left(discord))
    posts = discord.of("create_message")
    told = {"previews_left": len(_left(discord)), "previews_shown": sum(_is_preview(one.json.get("content", "")) for one in posts)}
    told |= {"kills_of_way_in": way_in.kills, "sessions": len(discord.sessions), "invalid_requests": discord.invalid}
    return figures | told | {"kills": workers.kills, "complete": complete}


async def _all_answered(discord: DiscordPlatform, asked: dict[tuple[str, str], float]) -> bool:
    """Wait until every question stands in an answer; what was missed may not be in the inbox yet."""
    with suppress(TimeoutError):
        await discord.until(lambda: len({key[:2] for key in _answers(discord)}) >= len(asked), seconds=PATIENCE_SECONDS)
    return len({key[:2] for key in _answers(discord)}) >= len(asked)


async def _feed(trial: DiscordTrial, discord: DiscordPlatform) -> dict[tuple[str, str], float]:
    """Everybody asks, again and again: by a mention and in its thread, in a post of a forum, or alone; return when each was written."""
    asked: dict[tuple[str, str], float] = {}
    started = time.monotonic()
    rooms: dict[int, int] = {}

    async def ask(number: int, place: int) -> None:
        due = started + (place * trial.conversations + number) / trial.per_second
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        user, text = FIRST_PERSON + number, f"{number}-{place}"
        if number in rooms:
            await discord.until(lambda: rooms[number] in discord.channels, seconds=PATIENCE_SECONDS)
            said = await discord.say(user, rooms[number], text)
        elif number % 3 == 0:
            said = await discord.say(user, HELP, text, mention=True)
            rooms[number] = said.id
        elif number % 3 == 1:
            said = await discord.post(user, FORUM, text, text)
            rooms[number] = said.channel
        else:
            rooms[number] = discord.direct_with(user).id
            said = await discord.say(user, rooms[number], text)
        asked[str(number), f"{number}:{place}"] = said.at

    for number in range(trial.conversations):
        discord.person(FIRST_PERSON + number, f"person{number}")
    for place in range(trial.messages // trial.conversations):
        await asyncio.gather(*(ask(number, place) for number in range(trial.conversations)))
    return asked


def _answers(discord: DiscordPlatform) -> list[tuple[str, str, float]]:
    """Every question that stands in an answer: by whom, which, and when the answer was there; in the order of the channels."""
    found = []
    for message in discord.by_bot():
        if not _is_preview(message.content):
            lines = re.findall(r"(\d+)-(\d+)", message.content)
            found += [(number, f"{number}:{place}", message.edited or message.at) for number, place in lines]
    return found


def _left(discord: DiscordPlatform) -> list[Message]:
    """Unfinished answers that stand."""
    return [message for message in discord.by_bot() if _is_preview(message.content)]


def _is_preview(content: str) -> bool:
    return content.endswith(MARK)


def main() -> None:
    """Run what is asked for; the last line on stdout is one JSON document."""
    asked = _parsed()
    trial = DiscordTrial(
        asked.messages, asked.conversations, asked.workers, asked.kill_every or None, broken=asked.broken, seed=asked.seed,
        previews=asked.previews, door_every=asked.kill_way_in_every or None, per_second=asked.per_second,
    )  # fmt: skip
    figures = asyncio.run(on(asked.database, partial(run, trial)))
    for name, value in figures.items():
        print(f"{name:<16} {value}")
    versions = {name: version(name) for name in ("discord.py", "aiohttp", "sqlalchemy", "aiosqlite", "asyncpg")}
    setting = {"database": asked.database, "workers": asked.workers, "previews": asked.previews, "seed": asked.seed, "cpus": os.cpu_count()}
    print(json.dumps(setting | figures | {"versions": versions, "python": platform.python_version()}))


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--previews", action="store_true", help="answers are shown while they are written")
    parser.add_argument("--kill-every", type=float, default=1.0, help="seconds between kills of a worker; 0 kills none")
    parser.add_argument("--kill-way-in-every", type=float, default=6.0, help="seconds between kills of a listener; 0 kills none")
    parser.add_argument("--per-second", type=float, default=10.0, help="questions a second")
    parser.add_argument("--broken", choices=BREAKAGES, default="none", help="leave a safeguard out, to see the trial notice")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
