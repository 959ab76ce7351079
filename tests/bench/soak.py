"""Long service: messages all the time, the database restarted and the knowledge exchanged again and again.

Memory must stay flat and nothing be lost, said twice or out of order.

make bench-soak ARGS="--seconds 600 --restart-every 60 --reload-every 20"
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import psutil
from rich.console import Console
from sqlalchemy import select

from core.domain import Actor, Address, InboundMessage
from core.errors import StorageError
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.knowledge_store import SqlKnowledgeStore
from core.storage.tables import turns
from retrieval import ingest
from tests.bench.delivery import Team, Trial, until_answered, verdict
from tests.retrieval.simple import KNOWLEDGE, TOPICS, WordEmbedder, faq
from tests.servers.chat import ChatServer
from tests.servers.postgres import PostgresServer

Memory: TypeAlias = list[tuple[float, float]]  # (seconds since the start, MiB)
WARM_UP_SHARE = 0.2  # of the time, before memory is compared


async def soak(seconds: float, per_second: float, restart_every: float, reload_every: float, trial: Trial) -> dict[str, Any]:
    """Return the verdict over every message, restarts, exchanges that workers followed, and how much they grew after warm-up."""
    postgres = PostgresServer()
    await asyncio.to_thread(postgres.start)
    try:
        url = postgres.new_database()
        database = Database(url)
        await database.upgrade()
        versions = await _published(database, Path(trial.knowledge))
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(ChatServer(seed=trial.seed, reset=trial.reset, limit=trial.limit))
            team = await stack.enter_async_context(Team(trial, url, server.url, trial.broken, trial.knowledge))
            box = SqlInbox(database)
            restarts = asyncio.create_task(_restart(postgres, restart_every, seconds))
            reloads = asyncio.create_task(_reload(database, versions, reload_every))
            accepted, memory = await _feed(box, team, seconds, per_second)
            count = await restarts
            reloads.cancel()
            await asyncio.wait([reloads])
            complete = await until_answered(box)
            said = [(message.thread, line, message.at) for message in server.messages for line in message.text.split("\n")]
        followed = await _followed(database)
        await database.close()
    finally:
        await asyncio.to_thread(postgres.stop)
    return verdict(accepted, said) | {"restarts": count, "reloads": followed, "complete": complete} | _growth(memory)


async def _published(database: Database, folder: Path) -> tuple[str, ...]:
    """Publish two snapshots that differ, and return their versions."""
    store = SqlKnowledgeStore(database)
    versions = []
    for answer in ("The first answer.", "The second answer."):
        await store.replace_source(KNOWLEDGE, "soak", [faq(topic, answer) for topic in TOPICS], keep_missing=lambda: False)
        versions.append((await ingest.publish(store, folder, KNOWLEDGE, WordEmbedder(), "soak", lambda step, done, total: None)).version)
    return tuple(versions)


async def _reload(database: Database, versions: tuple[str, ...], every: float) -> None:
    store = SqlKnowledgeStore(database)
    for version in itertools.cycle(versions):
        await asyncio.sleep(every)
        with suppress(StorageError):  # it is being restarted: the next exchange comes soon
            await store.activate(KNOWLEDGE, version, actor="soak")


async def _followed(database: Database) -> int:
    """How often the snapshot that answers changed, in the order of the answers."""
    async with database.read() as connection:
        lineages = (await connection.execute(select(turns.c.lineage).order_by(turns.c.answered_at))).scalars().all()
    served = [lineage["index"] for lineage in lineages if lineage["index"]]
    return sum(before != after for before, after in itertools.pairwise(served))


async def _feed(box: SqlInbox, team: Team, seconds: float, per_second: float) -> tuple[dict[tuple[str, str], float], Memory]:
    """Accept a message at a time, each until the database takes it, as a platform delivers again; return times and memory."""
    accepted: dict[tuple[str, str], float] = {}
    memory: Memory = []
    console, started, number = Console(stderr=True), time.monotonic(), 0
    while (elapsed := time.monotonic() - started) < seconds:
        thread = f"thread-{number % 50}"
        text = f"{thread}:{number // 50}"
        message = InboundMessage(text, Address("chat", "w", "support", thread), Actor(thread), text, order_key=f"{number // 50:06}")
        await _accept(box, message)
        accepted[thread, text] = time.time()
        number += 1
        if number % int(10 * per_second) == 0:
            memory.append((elapsed, sum(psutil.Process(pid).memory_info().rss for pid in team.pids) / 2**20))
            console.print(f"{elapsed:5.0f} s, {number} messages, workers hold {memory[-1][1]:.0f} MiB", style="dim")
        await asyncio.sleep(max(0.0, number / per_second - (time.monotonic() - started)))
    return accepted, memory


async def _accept(box: SqlInbox, message: InboundMessage) -> None:
    while True:
        try:
            await box.accept(message)
            return
        except StorageError:
            await asyncio.sleep(0.2)


async def _restart(postgres: PostgresServer, every: float, seconds: float) -> int:
    times = max(0, int(seconds / every) - 1)
    for _ in range(times):
        await asyncio.sleep(every)
        await asyncio.to_thread(postgres.restart)
    return times


def _growth(memory: Memory) -> dict[str, Any]:
    warm = [held for at, held in memory if at > WARM_UP_SHARE * memory[-1][0]] if memory else []
    if len(warm) < 4:
        return {"rss_growth": None}
    quarter = len(warm) // 4
    first, last = sum(warm[:quarter]) / quarter, sum(warm[-quarter:]) / quarter
    return {"rss_mib": round(last, 1), "rss_growth": round(last / first - 1, 4)}


def main() -> None:
    """Run; the last line on stdout is one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--per-second", type=float, default=5)
    parser.add_argument("--restart-every", type=float, default=60)
    parser.add_argument("--reload-every", type=float, default=20)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trial = replace(Trial(), workers=asked.workers, kill_every=None, knowledge=folder)
        figures = asyncio.run(soak(asked.seconds, asked.per_second, asked.restart_every, asked.reload_every, trial))
    for name, value in figures.items():
        print(f"{name:<16} {value}")
    print(json.dumps(figures | {"database": "postgresql", "seconds": asked.seconds, "cpus": os.cpu_count(), "seed": trial.seed}))


if __name__ == "__main__":
    main()
