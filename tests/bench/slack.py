"""The kill test through the real Slack adapter: workers and the way in die all the time, Slack delivers twice, breaks off and says 429.

Every question must have exactly one answer in its thread, in order, by what stands in the local Slack's channels.

make bench-slack ARGS="--messages 2000 --conversations 200 --workers 4 --database postgresql --previews"
make bench-slack ARGS="--messages 0 --refresh --no-ack"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from typing import Any

from bot.slack.blocks import KEY_PREFIX
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from tests.bench import slack_ack, slack_worker
from tests.bench.delivery import Team, Trial, claims, on, until_answered, verdict
from tests.bot.slack.office import BOT, said
from tests.servers.slack import SlackPlatform
from tests.servers.slack_state import Channel, Json, Message, User

AT_ONCE = 8  # events under way
KEYS = ("messages", "kills", "takeovers", "lost", "twice", "out_of_order", "delay_p95_s", "sends_per_s")  # null without a kill test
REFRESH_SECONDS, REFRESH_MESSAGES_PER_SECOND = 3.0, 5.0


@dataclass(frozen=True, slots=True)
class SlackTrial(Trial):
    """What is done to the workers, and to the way in."""

    channels: int = 8
    transport: str = "http"
    previews: bool = False
    receipts: bool = False  # Slack tells us of our own messages; without them a lost reply must be looked for
    door_every: float | None = 4.0  # seconds between kills of the process that takes the events; None kills it never
    refresh_every: float | None = None  # seconds between refreshes of a connection of Socket Mode
    per_second: float | None = None  # messages; None: as fast as they are taken


@dataclass(eq=False)
class Watched(SlackPlatform):
    """Remembers when each message of the bot came to say what it says."""

    said_at: dict[str, float] = field(default_factory=dict)

    def note(self, what: str, message: Message) -> None:
        """See `Workspace.note`."""
        self.said_at[message.ts] = time.time()
        super().note(what, message)


async def run(trial: SlackTrial, database_url: str) -> dict[str, Any]:
    """Return what became of every question: `lost`, `twice` and `out_of_order` must be 0."""
    database = Database(database_url)
    await database.upgrade()
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(_platform(trial))
        settings, port = slack_ack.way_to(slack, stack.enter_context(tempfile.TemporaryDirectory()))
        way_in = Team(replace(trial, workers=1, kill_every=trial.door_every), database_url, settings, port, target=slack_worker.serve)
        await stack.enter_async_context(way_in)
        workers = Team(trial, database_url, settings, trial.previews, trial.broken, target=slack_worker.work)
        await stack.enter_async_context(workers)
        asked = await _feed(trial, slack)
        complete = await until_answered(SqlInbox(database))
        with suppress(TimeoutError):  # what shows a preview that came late takes it away
            await slack.until(lambda: not _left(slack), seconds=5)
    figures = verdict(asked, _answers(slack)) | await claims(database)
    await database.close()
    figures["twice"] += len(_left(slack))
    told = {"answers": len(slack.by_bot()) - len(_left(slack)), "previews_left": len(_left(slack)), "events": len(slack.delivered)}
    told |= {"previews_shown": sum(_is_preview(call.arguments) for call in slack.called("chat.postMessage"))}
    told |= {"connections": slack.count("apps.connections.open"), "kills_of_way_in": way_in.kills}
    return figures | told | {"kills": workers.kills, "complete": complete}


def _platform(trial: SlackTrial) -> Watched:
    slack = Watched(seed=trial.seed, reset=trial.reset, limit=trial.limit, echo_own=trial.receipts, transport=trial.transport)
    slack.posts = ("chat.postMessage", "chat.update")
    slack.retry_pause, slack.refresh_every = 0.2, trial.refresh_every
    people = {f"U0C{number}" for number in range(trial.conversations)}
    slack.users |= {user: User(user, user.lower()) for user in people}
    slack.channels |= {f"C0{number}": Channel(f"C0{number}", f"help-{number}", members=people | {BOT}) for number in range(trial.channels)}
    return slack


async def _feed(trial: SlackTrial, slack: SlackPlatform) -> dict[tuple[str, str], float]:
    """Everybody asks once, then everybody again, some delivered more than once; return when each question was written."""
    dice, limit = random.Random(trial.seed), asyncio.Semaphore(AT_ONCE)
    roots: dict[int, str] = {}
    asked: dict[tuple[str, str], float] = {}
    started = time.monotonic()

    async def ask(number: int, place: int) -> None:
        if trial.per_second:
            due = started + (place * trial.conversations + number) / trial.per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        mention = f"<@{BOT}> " if number not in roots or dice.random() < 0.3 else ""
        async with limit:
            text = f"{mention}{number}-{place}"
            ts = await slack.say(f"U0C{number}", f"C0{number % trial.channels}", text, roots.get(number), until_accepted=True)
            assert all(answer.accepted for answer in ts.answers), ts.answers
            roots.setdefault(number, ts)
            asked[str(number), f"{number}:{place}"] = float(ts)
            while dice.random() < trial.duplicates:
                await slack.redeliver(_again(slack, ts, dice), retry_num=dice.randrange(4))

    for place in range(trial.messages // trial.conversations):
        await asyncio.gather(*(ask(number, place) for number in range(trial.conversations)))
    return asked


def _again(slack: SlackPlatform, ts: str, dice: random.Random) -> Json:
    """What tells of this message, or of one that was answered meanwhile."""
    if dice.random() < 0.3:
        return dice.choice(slack.delivered)
    return next(one for one in reversed(slack.delivered) if one["event"].get("ts") == ts)


def _answers(slack: Watched) -> list[tuple[str, str, float]]:
    """Every question that stands in an answer: by whom, which, and when the answer was there; in the order of the channels."""
    found = []
    for message in slack.by_bot():
        if _has_key(message):
            lines = re.findall(r"(\d+)-(\d+)", said(message))
            found += [(number, f"{number}:{place}", slack.said_at[message.ts]) for number, place in lines]
    return found


def _left(slack: SlackPlatform) -> list[Message]:
    """Unfinished answers that stand."""
    return [message for message in slack.by_bot() if not _has_key(message)]


def _has_key(message: Message) -> bool:
    return any(block.get("block_id", "").startswith(KEY_PREFIX) for block in message.blocks)


def _is_preview(arguments: Json) -> bool:
    return not arguments.get("blocks")


def refreshing(trial: SlackTrial, seconds: float) -> SlackTrial:
    """The trial over Socket Mode in which nobody is killed and connections are refreshed all the time."""
    messages = int(seconds * REFRESH_MESSAGES_PER_SECOND)
    calm = replace(trial, transport="socket", kill_every=None, door_every=None, messages=messages, conversations=min(50, messages))
    return replace(calm, refresh_every=REFRESH_SECONDS, per_second=REFRESH_MESSAGES_PER_SECOND, workers=2)


def main() -> None:
    """Run what is asked for; the last line on stdout is one JSON document."""
    asked = _parsed()
    trial = SlackTrial(
        asked.messages, asked.conversations, asked.workers, asked.kill_every or None, broken=asked.broken, seed=asked.seed,
        previews=asked.previews, receipts=asked.receipts, transport=asked.transport, door_every=asked.kill_way_in_every or None,
    )  # fmt: skip
    figures: dict[str, Any] = dict.fromkeys(
        ("messages", "kills", "takeovers", "lost", "twice", "out_of_order", "delay_p95_s", "sends_per_s")
    )
    if trial.messages:
        figures |= _told("Kill test", asyncio.run(on(asked.database, partial(run, trial))))
    if asked.refresh:
        refreshed = asyncio.run(on(asked.database, partial(run, refreshing(trial, asked.refresh_seconds))))
        figures["refresh"] = _told("Refreshes of Socket Mode", refreshed)
    figures["ack_p99_ms"] = None
    if asked.ack:
        figures["ack"] = {}
        for transport in ("http", "socket"):
            load = slack_ack.Load(transport, asked.ack_seconds, asked.events_per_second, asked.busy)
            acknowledged = asyncio.run(on(asked.database, partial(slack_ack.run, load)))
            figures["ack"][transport] = _told(f"Acknowledgements over {transport}, a model busy in: {asked.busy}", acknowledged)
        figures["ack_p99_ms"] = figures["ack"]["http"]["p99_ms"]
    versions = {name: version(name) for name in ("slack-bolt", "slack-sdk", "sqlalchemy", "aiosqlite", "asyncpg", "uvicorn")}
    setting = {"database": asked.database, "workers": asked.workers, "previews": asked.previews, "seed": asked.seed, "cpus": os.cpu_count()}
    print(json.dumps(setting | figures | {"versions": versions, "python": platform.python_version()}))


def _told(title: str, figures: dict[str, Any]) -> dict[str, Any]:
    print(title, flush=True)
    for name, value in figures.items():
        print(f"  {name:<16} {value}")
    return figures


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=2000, help="0 leaves the kill test out")
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--transport", choices=["http", "socket"], default="http", help="how events come in during the kill test")
    parser.add_argument("--kill-every", type=float, default=0.25, help="seconds between kills of a worker; 0 kills nobody")
    parser.add_argument("--kill-way-in-every", type=float, default=4.0, help="seconds between kills of what takes events; 0 spares it")
    parser.add_argument("--broken", choices=slack_worker.BREAKAGES, default="none", help="leave a safeguard out, to see the trial notice")
    parser.add_argument("--previews", action=argparse.BooleanOptionalAction, default=False, help="show answers while they are written")
    parser.add_argument("--receipts", action=argparse.BooleanOptionalAction, default=False, help="Slack tells us of our own messages")
    parser.add_argument("--ack", action=argparse.BooleanOptionalAction, default=True, help="measure how soon events are acknowledged")
    parser.add_argument("--ack-seconds", type=float, default=60)
    parser.add_argument("--events-per-second", type=float, default=50)
    parser.add_argument("--busy", choices=slack_ack.BUSY, default="thread", help="where a model is busy meanwhile")
    parser.add_argument("--refresh", action="store_true", help="also refresh connections of Socket Mode while messages come in")
    parser.add_argument("--refresh-seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
