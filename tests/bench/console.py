"""Every page of the console with a million turns, over a real socket: p50 and p95 of each, and memory.

`make bench-console ARGS="--turns 100000 --databases sqlite"` measures less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import os
import platform
import re
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvicorn
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bot.bootstrap import Frontdesk
from bot.bootstrap_console import demo_store
from bot.settings import Settings
from core.domain import utc_now
from core.members import EVERYWHERE, Member, Role, Scope
from core.staff.demo_month import DemoMonth
from core.storage.database import Database
from tests.bot.console.desk import Browser, desk_on
from tests.servers.postgres import PostgresServer

out = Console(stderr=True)
_DAYS = 365
_SEED = 7
_GIN = "CREATE INDEX turn_words_by_word ON turn_words USING gin (words)"
_SOME = Scope(frozenset({("slack", "demo-globex"), ("discord", "demo-hearth")}))
GOAL_MS = 300.0


def pages(turn: dict[str, str], days: tuple[str, str]) -> dict[str, str]:
    """What is asked for, by name; each several times, so with and without what the database keeps in memory."""
    since, until = days
    return {
        "inbox": "/inbox",
        "inbox, page 2": f"/inbox?after={turn['after']}",
        "conversation": f"/conversations/{turn['conversation_id']}?turn={turn['turn_id']}",
        "overview, 30 days": "/overview",
        "overview, a year": "/overview?days=365",
        "overview, one platform": "/overview?days=90&platform=slack",
        "search, nothing": "/search",
        "search, common word": "/search?q=frontdesk",
        "search, rare word": "/search?q=Lisbon+office",
        "search, common words": "/search?q=the+model",
        "search, phrase": "/search?q=%22talk+to+a+person%22",
        "search, beginning": "/search?q=conf*",
        "search, no such word": "/search?q=xyzzy",
        "search, word and filters": "/search?q=model&workspace=discord:demo-hearth&decision=handoff",
        "search, filters": f"/search?platform=web&decision=clarify&since={since}&until={until}",
        "search, what cannot be": "/search?decision=direct&model=smollm2-135m@base",
        "search, unhelpful": "/search?feedback=unhelpful",
        "search, unhelpful word": "/search?q=password&feedback=unhelpful",
        "search, a year ago": f"/search?q=the&until={since}",
        "hand-offs": "/handoffs",
        "hand-offs, over": "/handoffs?closed=true",
        "corrections": "/corrections",
        "knowledge": "/knowledge",
        "models": "/models",
        "audit": "/audit",
    }


async def measure(browser: Browser, wanted: dict[str, str], rounds: int) -> dict[str, dict[str, float]]:
    """Ask for every page in turns, so that none is favoured by the one before."""
    took: dict[str, list[float]] = {name: [] for name in wanted}
    for number in range(rounds + 1):
        for name, path in wanted.items():
            started = time.perf_counter()
            answer = await browser.get(path)
            if answer.status_code != 200:
                raise SystemExit(f"{name}: {answer.status_code} {answer.text[:300]}")
            if number:  # the first round warms up
                took[name].append((time.perf_counter() - started) * 1000)
    return {name: {"p50_ms": round(statistics.median(times), 1), "p95_ms": round(_p95(times), 1)} for name, times in took.items()}


def _p95(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, round(0.95 * (len(times) - 1)))]


async def fill(graph: Frontdesk, turns: int) -> float:
    """Make up conversations of a year; return the seconds it took. The words are indexed at the end where that is quicker."""
    database, started = graph.database, time.monotonic()
    month = DemoMonth(graph.sample(), utc_now(), _DAYS, _SEED)
    if not database.is_sqlite:
        await run(database, "DROP INDEX turn_words_by_word")
    with Progress(console=out, disable=not out.is_terminal) as bar:
        task = bar.add_task("turns", total=turns)
        await demo_store(graph).fill(month.conversations(turns), lambda done: bar.advance(task, done))
    if not database.is_sqlite:
        await run(database, _GIN)
    await graph.figure_book.refresh_all()
    await run(database, "ANALYZE" if database.is_sqlite else "VACUUM ANALYZE")
    return time.monotonic() - started


async def run(database: Database, statement: str) -> None:
    """Run a statement that no transaction may hold."""
    async with database.engine.connect() as connection:
        raw = await (await connection.get_raw_connection()).driver_connection.execute(statement)  # type: ignore[union-attr]
        del raw


def serve(url: str, pipe: Connection) -> None:
    """The process that is measured: the whole application and nothing else."""
    logging.disable(logging.WARNING)

    async def main() -> None:
        desk = desk_on(Database(url))
        members = [Member(f"member-{number}", f"Member {number}", Role.ADMIN, scope) for number, scope in enumerate((EVERYWHERE, _SOME))]
        for member in members:
            await desk.sign_in.members.add(member)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as the application sets it
        links = [await desk.sign_in.link_for(member) for member in members]
        config = uvicorn.Config(desk.app, log_config=None, access_log=False, lifespan="off")
        pipe.send((listener.getsockname()[1], links))  # connections wait in the listener until it accepts
        await uvicorn.Server(config).serve([listener])

    asyncio.run(main())


@asynccontextmanager
async def console(url: str) -> AsyncIterator[tuple[int, list[Browser]]]:
    """The served console: its process id, and browsers of somebody who sees everything and somebody who sees two workspaces."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(url, theirs), daemon=True)
    process.start()
    port, links = await asyncio.to_thread(ours.recv)
    browsers = []
    for link in links:
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"accept": "text/html"}, timeout=120)
        browsers.append(Browser(client))
        await browsers[-1].post("/sign-in/link", {"token": link}, page=f"/sign-in/link?token={link}")
    try:
        yield process.pid or 0, browsers
    finally:
        for browser in browsers:
            await browser.client.aclose()
        process.terminate()
        process.join()


async def measured(kind: str, url: str, turns: int, rounds: int) -> dict[str, Any]:
    """Fill a database and measure every page on it."""
    settings = Settings(data_dir=Path(tempfile.gettempdir()) / "frontdesk-bench-console")
    database = Database(url)
    await database.upgrade()
    graph = Frontdesk(settings, database, lambda _line: None)
    seconds = 0.0 if await demo_store(graph).has_any() else await fill(graph, turns)
    started = time.monotonic()
    await graph.figure_book.refresh()
    refresh_ms = (time.monotonic() - started) * 1000
    await database.close()
    out.print(f"{kind}: {turns:,} turns written in {seconds:.0f} s")
    async with console(url) as (pid, (everything, some)):
        here = psutil.Process(pid)
        wanted = pages(await _a_turn(everything), _days())
        before = here.memory_info().rss
        found = await measure(everything, wanted, rounds)
        scoped = await measure(some, {name: path for name, path in wanted.items() if name not in {"conversation", "audit"}}, rounds)
        found |= {f"{name}, two workspaces": times for name, times in scoped.items()}
        after = here.memory_info().rss
        export = await _export(everything, here)
    return {
        "turns": turns,
        "fill_s": round(seconds, 1),
        "refresh_ms": round(refresh_ms, 1),
        "pages": found,
        "worst_p95_ms": max(times["p95_ms"] for times in found.values()),
        "rss_mb": round(after / 2**20, 1),
        "rss_growth": round(after / before - 1, 3),
        **export,
    }


async def _a_turn(browser: Browser) -> dict[str, str]:
    inbox = (await browser.get("/inbox")).text
    found = re.search(r"/console/conversations/(\w+)\?turn=(\w+)", inbox)
    after = re.search(r"inbox\?after=([\w.-]+)", inbox)
    assert found and after, "the inbox is empty"
    return {"conversation_id": found[1], "turn_id": found[2], "after": after[1]}


def _days() -> tuple[str, str]:
    first = utc_now().date() - timedelta(days=_DAYS - 30)
    return first.isoformat(), (first + timedelta(days=7)).isoformat()


async def _export(browser: Browser, process: psutil.Process) -> dict[str, float]:
    """How quickly a tenth of everything becomes a file, and how much more memory that takes."""
    before, most, size, started = process.memory_info().rss, 0, 0, time.monotonic()
    async with browser.client.stream("GET", "/console/search/export.csv?decision=handoff") as answer:
        async for part in answer.aiter_bytes():
            size += part.count(b"\n")
            most = max(most, process.memory_info().rss)
    seconds = time.monotonic() - started
    return {"export_lines_per_s": round(size / seconds), "export_rss_growth_mb": round((most - before) / 2**20, 1)}


async def main(arguments: argparse.Namespace) -> None:
    """Measure on each database and print."""
    found: dict[str, Any] = {}
    if "sqlite" in arguments.databases:
        with tempfile.TemporaryDirectory() as folder:
            file = arguments.keep or Path(folder)
            file.mkdir(parents=True, exist_ok=True)
            found["sqlite"] = await measured("sqlite", f"sqlite:///{file / f'{arguments.turns}.db'}", arguments.turns, arguments.rounds)
    if "postgresql" in arguments.databases:
        server = PostgresServer()
        server.start()
        try:
            found["postgresql"] = await measured("postgresql", server.new_database(), arguments.turns, arguments.rounds)
        finally:
            server.stop()
    _print(found)
    versions = {"python": platform.python_version(), "cpus": os.cpu_count(), "seed": _SEED, "days": _DAYS, "goal_ms": GOAL_MS}
    flat = {f"{kind}: {name}": times for kind, one in found.items() for name, times in one["pages"].items()}
    rest = {kind: {name: value for name, value in one.items() if name != "pages"} for kind, one in found.items()}
    print(json.dumps({"pages": flat, **rest, "rounds": arguments.rounds, "versions": versions}))


def _print(found: dict[str, Any]) -> None:
    table = Table("page", *(f"{kind} {what}" for kind in found for what in ("p50", "p95")))
    for name in next(iter(found.values()))["pages"]:
        table.add_row(name, *(f"{found[kind]['pages'][name][what]} ms" for kind in found for what in ("p50_ms", "p95_ms")))
    out.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--keep", type=Path, help="a folder for the SQLite file, which is used again the next time")
    asyncio.run(main(parser.parse_args()))
    sys.stdout.flush()
