"""Questions per second and latency of retrieve, direct and generate, beside LangChain and Haystack; growth of the index.

Each contestant runs in a process of its own, in turns, so that none lives with another's threads or memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bot.telemetry import quiet_libraries
from tests.bench.corpus import knowledge, without_questions

NAMES = ("frontdesk", "langchain", "haystack")
_AT_ONCE = {"retrieve": 32, "direct": 32, "generate": 8}
_ASKED = {"retrieve": 640, "direct": 640, "generate": 16}
_VERSIONS = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "langchain-community", "langchain-huggingface", "haystack-ai")


def main() -> None:
    """Run the benchmark; the last line on stdout is one JSON document."""
    arguments = _arguments()
    if arguments.contestant:
        print(json.dumps(asyncio.run(_contest(arguments))))
        return
    console = Console(stderr=True)
    seen: defaultdict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for stage in arguments.stages:
        for number in range(1 if stage == "generate" else arguments.rounds):
            for name in NAMES:
                console.print(f"{stage}, round {number + 1}: {name}", style="dim")
                seen[stage, name].append(_in_own_process(name, stage, arguments))
    rows = [_row(stage, name, rounds) for (stage, name), rounds in seen.items()]
    sizes = _growth(arguments)
    _show(rows, sizes)
    print(json.dumps(_document(rows, sizes, arguments)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--knowledge", type=Path, help="JSONL knowledge; by default the packaged sample")
    parser.add_argument("--stages", nargs="*", default=list(_AT_ONCE), choices=list(_AT_ONCE))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000], help="rows; up to 1000000 with time to spare")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--contestant", choices=NAMES, help=argparse.SUPPRESS)
    return parser.parse_args()


def _in_own_process(name: str, stage: str, arguments: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.retrieval", "--contestant", name, "--stages", stage, "--seed", str(arguments.seed)]
    command += ["--knowledge", str(arguments.knowledge)] if arguments.knowledge else []
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{name} failed at {stage}:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


async def _contest(arguments: argparse.Namespace) -> dict[str, float]:
    quiet_libraries()
    from tests.bench.contestants import CONTESTANTS

    stage = arguments.stages[0]
    passages, questions = without_questions(knowledge(arguments.knowledge), arguments.seed)
    ask = await CONTESTANTS[arguments.contestant](passages, stage)
    await asyncio.gather(*(ask(question) for question in questions[:2]))
    asked = [questions[number % len(questions)] for number in range(_ASKED[stage])]
    times, seconds = await _at_once(ask, asked, _AT_ONCE[stage])
    cuts = statistics.quantiles(times, n=20)
    peak = psutil.Process().memory_info().rss / 2**20
    return {"questions_per_s": len(asked) / seconds, "p50_ms": statistics.median(times), "p95_ms": cuts[-1], "rss_mib": peak}


async def _at_once(ask: Any, questions: list[str], callers: int) -> tuple[list[float], float]:
    waiting, times = iter(questions), []

    async def caller() -> None:
        for question in waiting:
            started = time.perf_counter()
            await ask(question)
            times.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return times, time.perf_counter() - started


def _row(stage: str, name: str, rounds: list[dict[str, float]]) -> dict[str, Any]:
    medians = {key: round(statistics.median(one[key] for one in rounds), 1) for key in rounds[0]}
    return {"stage": stage, "contestant": name, "callers": _AT_ONCE[stage], **medians}


def _growth(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    if not arguments.sizes:
        return []
    from tests.bench.growth import measure

    return measure(arguments.sizes, arguments.seed)


def _show(rows: list[dict[str, Any]], sizes: list[dict[str, Any]]) -> None:
    console = Console()
    for title, lines in (("Questions", rows), ("Growth of the index", sizes)):
        if lines:
            table = Table(*lines[0], title=title)
            for line in lines:
                table.add_row(*map(str, line.values()))
            console.print(table)


def _document(rows: list[dict[str, Any]], sizes: list[dict[str, Any]], arguments: argparse.Namespace) -> dict[str, Any]:
    speed = {row["contestant"]: row["questions_per_s"] for row in rows if row["stage"] == "direct"}
    return {
        "questions_per_s": speed.get("frontdesk"),
        "langchain_questions_per_s": speed.get("langchain"),
        "haystack_questions_per_s": speed.get("haystack"),
        "rows": rows,
        "sizes": sizes,
        "seed": arguments.seed,
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _VERSIONS},
    }


if __name__ == "__main__":
    main()
