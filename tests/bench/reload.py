"""Reloads under load: is an answer lost or mixed, do answers in flight take longer, does memory grow?

make bench-reload                                          # 50 answers at a time on the local Slack, then 100 reloads of the real model
make bench-reload ARGS="--platform discord --reloads 10"   # the local Discord, and a short look at memory
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform as machine
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bot.bootstrap import frontdesk
from bot.bootstrap_models import loader_of
from bot.setting_groups import Limits as Allowed
from bot.settings import read
from core.domain import Generation, Limits, Prompt
from core.registry import Alias, Kind, ModelVersion, Step
from core.serving import probe, weights
from core.serving.canary import Canary
from core.serving.follower import Follower
from core.serving.switch import ModelSwitch
from core.storage.database import Database
from core.storage.host_board import SqlHostBoard
from core.storage.memory_models import MemoryHostBoard, MemoryModelRegistry
from core.storage.model_registry import SqlModelRegistry
from tests.core.serving.versions import PROMPT, Shelf, Versioned
from tests.scenarios.surfaces import OPEN

PARCELS = "how long does a parcel take?"
SAYS = {"a@1": "A parcel takes 3 days.", "b@2": "You can follow it on our page."}
PIECE_SECONDS = 0.05  # a model that writes 20 tokens a second to each customer
UNLIMITED = Allowed(user_per_minute=0, conversation_per_minute=0)
WARM_UP = 10  # reloads before memory is compared: allocators keep some of what the first ones took


class Paced(Versioned):
    """Writes its sentence in forty pieces, at the pace of a model."""

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        said = f"{SAYS[self.version]} [1]"
        for number in range(40):
            assert not self.closed, "it was closed while it wrote"
            await asyncio.sleep(PIECE_SECONDS)
            if number < len(said):
                yield said[number] if number < 39 else said[39:]
        yield Generation(said, self.version)


class PacedShelf(Shelf):
    """Loads models that write at a pace."""

    async def load(self, version: ModelVersion, *, anew: bool = False) -> Paced:
        return Paced(version.model_id)


@dataclass
class Flight:
    """What became of the answers of one phase."""

    asked: int
    answered: int
    twice: int
    mixed: int
    seconds: list[float]

    @property
    def p95(self) -> float:
        """Seconds that the slowest twentieth of the answers took to be written."""
        return statistics.quantiles(self.seconds, n=20)[-1]


async def fly(platform: str, customers: int, rounds: int) -> dict[str, Any]:
    """Ask in waves on a local platform, without and with commands that change the model, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'bench.db'}")
        await database.upgrade()
        registry, switches = SqlModelRegistry(database), {alias: ModelSwitch(alias) for alias in Alias}
        for model_id in SAYS:
            await registry.register(ModelVersion(model_id, Kind.GENERATOR, model_id))
        await registry.assign(Kind.GENERATOR, Alias.CHAMPION, "a@1", Step.PROMOTE, "bench")
        canary = Canary(switches[Alias.CHAMPION], switches[Alias.CHALLENGER], _nothing, _nothing)
        follower = Follower("bench", registry, SqlHostBoard(database), PacedShelf(), switches, canary, _passed, _nothing)
        await follower.start()
        async with AsyncExitStack() as stack:
            chat = await stack.enter_async_context(OPEN[platform](database, generator=canary, workers=2, limits=UNLIMITED))
            following = asyncio.create_task(follower.run())
            calm, changes = await _wave(chat, customers, rounds, 0), 0
            moving = asyncio.create_task(_change(chat))
            busy = await _wave(chat, customers, rounds, calm.asked)
            moving.cancel()
            changes = await moving
            following.cancel()
            await asyncio.wait([following])
        await database.close()
    return {"platform": platform, "changes": changes, "calm": calm, "busy": busy}


async def _wave(chat: Any, customers: int, rounds: int, before: int) -> Flight:
    roots = []
    for _ in track(range(rounds), description="Asking", console=Console(stderr=True), transient=True):
        roots += [await chat.ask(PARCELS) for _ in range(customers)]
        await _quiet(chat)
    turns = [turn for turn in await chat.desk.turns() if turn["question"] == PARCELS][before:]
    said = [len(chat.said(root)) for root in roots]
    mixed = sum(turn["text"] != f"{SAYS.get(turn['lineage']['model'])} [1]" for turn in turns)
    seconds = [turn["timings_ms"]["generate"] / 1000 for turn in turns]
    return Flight(len(roots), sum(count == 1 for count in said), sum(count > 1 for count in said), mixed, seconds)


async def _quiet(chat: Any) -> None:
    while (backlog := await chat.desk.graph.inbox.backlog()).waiting or backlog.undelivered:  # noqa: ASYNC110  # the database rings no bell
        await asyncio.sleep(0.05)


async def _change(chat: Any) -> int:
    """Promote and roll back by commands until cancelled; return how often. Five promotions an hour are the limit of admins, not ours."""
    done = 0
    try:
        while True:
            chat.desk.graph.audit_log.start = _unlimited
            await chat.order(*(("rollback",) if done % 2 else ("promote",)), **({} if done % 2 else {"version": "b@2"}))
            assert "Done in 1 of 1" in await chat.confirm()
            done += 1
    except asyncio.CancelledError:
        return done


async def _unlimited(*_: Any, **__: Any) -> bool:
    return True


async def _nothing(*_: Any) -> None:
    return None


async def _passed(generator: object) -> str:
    return "not probed"


async def weigh(model: str, reloads: int, seed: int) -> dict[str, Any]:
    """Reload the real model again and again, an answer after each, and return how memory grew after the first ones."""
    process, golden = psutil.Process(), probe.read()[:1]
    with tempfile.TemporaryDirectory() as folder:
        settings = read().model_copy(update={"data_dir": Path(folder)})
        async with frontdesk(settings, lambda line: None) as graph:
            registry, switches = MemoryModelRegistry(), {alias: ModelSwitch(alias) for alias in Alias}
            known = graph.artifacts.take(model, actor="bench")
            await registry.register(known)
            canary = Canary(switches[Alias.CHAMPION], switches[Alias.CHALLENGER], _nothing, _nothing)
            probing = partial(probe.probe, golden=golden, seconds=600)
            follower = Follower("bench", registry, MemoryHostBoard(), loader_of(graph), switches, canary, probing, _nothing)
            await registry.assign(Kind.GENERATOR, Alias.CHAMPION, known.model_id, Step.PROMOTE, "bench")
            await follower.start()
            await follower.open()
            sizes, seconds = [], []
            for _ in track(range(reloads), description="Reloading", console=Console(stderr=True), transient=True):
                started = time.perf_counter()
                await registry.assign(Kind.GENERATOR, Alias.CHAMPION, known.model_id, Step.RELOAD, "bench")
                await follower.look()
                await switches[Alias.CHAMPION].settled()
                seconds.append(time.perf_counter() - started)
                _ = [piece async for piece in canary.stream(PROMPT, Limits(8))]
                sizes.append(process.memory_info().rss / 2**20)
            await canary.aclose()
    warm = statistics.median(sizes[:WARM_UP][-3:]) if len(sizes) > WARM_UP else sizes[0]
    return {"reloads": reloads, "rss_mib": [round(size) for size in sizes[:: max(1, reloads // 20)]], "seconds": statistics.median(seconds),
            "rss_growth": statistics.median(sizes[-3:]) / warm - 1, "seed": seed}  # fmt: skip


def _show(flights: dict[str, Any], memory: dict[str, Any]) -> None:
    table = Table("phase", "asked", "answered once", "twice", "mixed", "written in, p50 s", "p95 s", title=f"On {flights['platform']}")
    for name in ("calm", "busy"):
        one: Flight = flights[name]
        counts = (one.asked, one.answered, one.twice, one.mixed)
        table.add_row(name, *map(str, counts), f"{statistics.median(one.seconds):.2f}", f"{one.p95:.2f}")
    out = Console()
    out.print(table)
    out.print(f"{flights['changes']} promotions and rollbacks by command while it was busy.")
    if memory:
        out.print(f"{memory['reloads']} reloads of the model, {memory['seconds']:.1f} s each: memory {memory['rss_growth']:+.1%}")
        out.print("MiB: " + " ".join(map(str, memory["rss_mib"])))


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", choices=list(OPEN), default="slack")
    parser.add_argument("--customers", type=int, default=50, help="answers at a time")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--reloads", type=int, default=100, help="of the real model; 0: none")
    parser.add_argument("--model", default=weights.SMOLLM)
    asked = parser.parse_args()
    flights = await fly(asked.platform, asked.customers, asked.rounds)
    memory = await weigh(asked.model, asked.reloads, 0) if asked.reloads else {}
    _show(flights, memory)
    calm, busy = flights["calm"], flights["busy"]
    versions = {name: version(name) for name in ("torch", "transformers", "frontdesk")} | {"python": machine.python_version()}
    figures = {
        "platform": asked.platform, "reloads": flights["changes"] + memory.get("reloads", 0), "customers": asked.customers,
        "lost": busy.asked - busy.answered - busy.twice, "twice": busy.twice, "mixed": calm.mixed + busy.mixed,
        "p95_ratio": busy.p95 / calm.p95, "rss_growth": memory.get("rss_growth"), "reload_seconds": memory.get("seconds"),
        "versions": versions, "seed": 0,
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
