"""How soon Slack hears that we have an event while a model keeps a core busy: it waits three seconds."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bot.settings import Settings
from bot.slack.http import PATH
from core.storage.database import Database
from tests.bench import slack_worker
from tests.bot.slack.office import ANN, BOT, HELP, slack_settings
from tests.servers.chat import listening
from tests.servers.processes import quick_to_start
from tests.servers.slack import SlackPlatform

BUSY = ("thread", "process", "none")
READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What comes in, and where a model is busy meanwhile: in a thread of the process that takes the events, or beside it."""

    transport: str = "http"
    seconds: float = 60.0
    events_per_second: float = 50.0
    busy: str = "thread"


async def run(load: Load, database_url: str) -> dict[str, Any]:
    """Return how long events took from being sent to being acknowledged; they come at their times, whatever the last one took."""
    database = Database(database_url)
    await database.upgrade()
    await database.close()
    processes, slack = quick_to_start(), SlackPlatform(transport=load.transport)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(slack)
        settings, port = way_to(slack, stack.enter_context(tempfile.TemporaryDirectory()))
        started = [processes.Process(target=slack_worker.serve, args=(database_url, settings, port, load.busy == "thread"), daemon=True)]
        if load.busy == "process":
            started.append(processes.Process(target=slack_worker.multiply, daemon=True))
        for process in started:
            process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
        await _ready(slack)
        await _ask(slack)  # the first one also asks Slack who we are
        took = await _asking(load, slack)
    cuts = statistics.quantiles(took, n=100)
    figures = {"p50_ms": cuts[49], "p95_ms": cuts[94], "p99_ms": cuts[98], "max_ms": max(took)}
    told = {"events": len(took), "refused": sum(not answer.accepted for answer in slack.answers)}
    return told | {name: round(1000 * seconds, 1) for name, seconds in figures.items()}


def way_to(slack: SlackPlatform, folder: str) -> tuple[Settings, int]:
    """Return how processes reach the local Slack, and the port on which it expects them."""
    with listening(0) as listener:
        port: int = listener.getsockname()[1]
    slack.events_url = f"http://127.0.0.1:{port}{PATH}"
    return Settings(slack=slack_settings(slack), data_dir=Path(folder)), port


async def _ready(slack: SlackPlatform) -> None:
    """Wait until events are taken."""
    if slack.transport == "socket":
        await slack.until(lambda: len(slack.links) >= 2, READY_SECONDS)
        return
    async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(slack.events_url.replace(PATH, "/healthz"))
                return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


async def _asking(load: Load, slack: SlackPlatform) -> list[float]:
    started = time.perf_counter()

    async def at(due: float) -> float:
        await asyncio.sleep(max(0.0, started + due - time.perf_counter()))
        return await _ask(slack)

    return list(
        await asyncio.gather(*(at(number / load.events_per_second) for number in range(int(load.seconds * load.events_per_second))))
    )


async def _ask(slack: SlackPlatform) -> float:
    """Somebody asks in a new thread; return the seconds until it is acknowledged."""
    ts = slack.stamp()
    event = {"type": "app_mention", "channel": HELP, "user": ANN, "text": f"<@{BOT}> how long?", "ts": ts, "event_ts": ts}
    began = time.perf_counter()
    await slack.deliver(event)
    return time.perf_counter() - began
