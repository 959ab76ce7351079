"""The kill test: workers die all the time, platforms deliver twice and break off, and every message is answered exactly once.

make bench-delivery ARGS="--messages 2000 --conversations 200 --workers 4 --database postgresql"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

from sqlalchemy import func, select

from core.domain import Actor, Address, InboundMessage
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.tables import inbox, outbox
from tests.bench import delivery_worker
from tests.bench.filling import fill
from tests.servers.chat import ChatServer
from tests.servers.postgres import PostgresServer
from tests.servers.processes import quick_to_start

PATIENCE_SECONDS = 120.0  # after the last message; what is not answered then is lost


@dataclass(frozen=True, slots=True)
class Trial:
    """What is done to the workers."""

    messages: int = 2000
    conversations: int = 200
    workers: int = 4
    kill_every: float | None = 0.25  # seconds; None kills nobody
    duplicates: float = 0.3
    reset: float = 0.05
    limit: float = 0.03
    broken: str = "none"
    knowledge: str = ""  # folder of published snapshots that every message is looked up in; empty: none
    finished: int = 0  # messages answered long ago that fill the tables
    seed: int = 7


async def run(trial: Trial, database_url: str) -> dict[str, Any]:
    """Return what became of every message: `lost`, `twice` and `out_of_order` must be 0."""
    database = Database(database_url)
    await database.upgrade()
    if trial.finished:
        await fill(database, trial.finished)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ChatServer(seed=trial.seed, reset=trial.reset, limit=trial.limit))
        team = await stack.enter_async_context(Team(trial, database_url, server.url, trial.broken, trial.knowledge))
        accepted = await _feed(trial, SqlInbox(database))
        complete = await until_answered(SqlInbox(database))
        stored = list(server.messages)
    again = await claims(database)
    await database.close()
    said = [(message.thread, line, message.at) for message in stored for line in message.text.split("\n")]
    return verdict(accepted, said) | again | {"kills": team.kills, "complete": complete}


class Team:
    """Worker processes; a killed one is replaced."""

    def __init__(self, trial: Trial, *arguments: object, target: Callable[..., None] = delivery_worker.run) -> None:
        self._context = quick_to_start()
        self._target = target
        self._arguments = arguments
        self._dice = random.Random(trial.seed)
        self._trial = trial
        self.kills = 0
        self._members: list[BaseProcess] = []

    @property
    def pids(self) -> list[int]:
        """The processes at work."""
        return [member.pid for member in self._members if member.pid]

    async def __aenter__(self) -> Self:
        self._members = await asyncio.to_thread(lambda: [self._hire() for _ in range(self._trial.workers)])
        self._killing = asyncio.create_task(self._decimate())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._killing.cancel()
        await asyncio.wait([self._killing])
        await asyncio.to_thread(self._stop)

    async def _decimate(self) -> None:
        """Kill one at random, again and again."""
        while self._trial.kill_every is not None:
            await asyncio.sleep(self._trial.kill_every * self._dice.uniform(0.5, 1.5))
            place = self._dice.randrange(len(self._members))
            self._members[place].kill()
            await asyncio.to_thread(self._members[place].join)
            self.kills += 1
            self._members[place] = self._hire()

    def _stop(self) -> None:
        for member in self._members:
            member.kill()
            member.join()

    def _hire(self) -> BaseProcess:
        process = self._context.Process(target=self._target, args=self._arguments, daemon=True)
        process.start()
        return process


async def _feed(trial: Trial, box: SqlInbox) -> dict[tuple[str, str], float]:
    """Accept every message in the order of its conversation, some more than once; return when each was accepted."""
    dice, accepted = random.Random(trial.seed), dict[tuple[str, str], float]()
    each = trial.messages // trial.conversations

    async def converse(number: int) -> None:
        thread = f"thread-{number}"
        for place in range(each):
            text = f"{thread}:{place}"
            address = Address("chat", f"workspace-{number % 5}", "support", thread)
            message = InboundMessage(text, address, Actor(f"customer-{number}"), text, order_key=f"{place:06}")
            await box.accept(message)
            accepted[thread, text] = time.time()
            while dice.random() < trial.duplicates:
                await box.accept(message)

    limit = asyncio.Semaphore(8)

    async def in_turn(number: int) -> None:
        async with limit:
            await converse(number)

    await asyncio.gather(*(in_turn(number) for number in range(trial.conversations)))
    return accepted


async def until_answered(box: SqlInbox) -> bool:
    """Return whether nothing waits any more, within `PATIENCE_SECONDS`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        backlog = await box.backlog()
        if not backlog.waiting and not backlog.undelivered:
            return True
        await asyncio.sleep(0.2)
    return False


async def claims(database: Database) -> dict[str, int]:
    """Return how often a message was answered again by another worker, and a reply sent again."""
    async with database.read() as connection:
        again = (await connection.execute(select(func.count()).select_from(inbox).where(inbox.c.attempts > 1))).scalar_one()
        resent = (await connection.execute(select(func.count()).select_from(outbox).where(outbox.c.attempts > 1))).scalar_one()
    return {"takeovers": again, "sends_repeated": resent}


def verdict(accepted: dict[tuple[str, str], float], said: list[tuple[str, str, float]]) -> dict[str, Any]:
    """Compare what was accepted (when, by thread and text) with what arrived: (thread, text, when) in order of arrival."""
    times = Counter((thread, text) for thread, text, _ in said)
    delays = sorted(at - accepted[thread, text] for thread, text, at in said if (thread, text) in accepted)
    last: dict[str, int] = {}
    out_of_order = 0
    for thread, text, _ in said:
        place = int(text.rpartition(":")[2]) if ":" in text else -1
        out_of_order += place < last.get(thread, -1)
        last[thread] = max(place, last.get(thread, -1))
    seconds = max(at for _, _, at in said) - min(accepted.values()) if said else 0.0
    cuts = statistics.quantiles(delays, n=20) if len(delays) > 1 else [0.0] * 19
    return {
        "messages": len(accepted),
        "lost": sum(key not in times for key in accepted),
        "twice": sum(count - 1 for count in times.values()),
        "out_of_order": out_of_order,
        "delay_p50_s": round(statistics.median(delays), 3) if delays else None,
        "delay_p95_s": round(cuts[-1], 3),
        "sends_per_s": round(len(said) / max(seconds, 1e-9), 1),
    }


def main() -> None:
    """Run the trial; the last line on stdout is one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--kill-every", type=float, default=0.25, help="seconds; 0 kills nobody")
    parser.add_argument(
        "--broken", choices=delivery_worker.BREAKAGES, default="none", help="leave a safeguard out, to see the trial notice"
    )
    parser.add_argument("--finished", type=int, default=0, help="answered messages that fill the tables beforehand")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    trial = Trial(
        asked.messages,
        asked.conversations,
        asked.workers,
        asked.kill_every or None,
        broken=asked.broken,
        finished=asked.finished,
        seed=asked.seed,
    )
    figures = asyncio.run(on(asked.database, partial(run, trial)))
    for name, value in figures.items():
        print(f"{name:<16} {value}")
    versions = {name: version(name) for name in ("sqlalchemy", "aiosqlite", "asyncpg")}
    setting = {"database": asked.database, "workers": asked.workers, "seed": asked.seed, "cpus": os.cpu_count()}
    print(json.dumps(setting | figures | {"versions": versions, "python": platform.python_version()}))


async def on(kind: str, trying: Callable[[str], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Try it on an empty database of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        if kind == "sqlite":
            return await trying(f"sqlite:///{Path(folder) / 'trial.db'}")
        server = PostgresServer()
        await asyncio.to_thread(server.start)
        async with AsyncExitStack() as stack:
            stack.callback(server.stop)
            return await trying(server.new_database())


if __name__ == "__main__":
    main()
