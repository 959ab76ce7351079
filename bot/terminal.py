"""What the terminal shows: progress and reports on stderr, results on stdout."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bot.bootstrap import Frontdesk, frontdesk
from bot.settings import read

err = Console(stderr=True, highlight=False)
out = Console(highlight=False)

T = TypeVar("T")
STEPS = {
    "embed": "Embedding",
    "index": "Indexing",
    "calibrate": "Calibrating",
    "answer": "Asking",
    "read": "Reading",
    "judge": "Judging",
    "retrieve": "Retrieving",
    "copy": "Copying",
    "hash": "Hashing",
    "scan": "Inspecting",
    "write": "Writing",
}


def report(line: str) -> None:
    """Tell the operator one thing."""
    err.print(line, style="dim", markup=False, soft_wrap=True)


def with_frontdesk(work: Callable[[Frontdesk], Awaitable[T]]) -> T:
    """Run `work` with the object graph of this process' settings."""

    async def run() -> T:
        async with frontdesk(read(), report) as graph:
            return await work(graph)

    return asyncio.run(run())


def print_json(document: Any) -> None:
    """Print exactly one JSON document on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False))


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function (step, done since the last call, total) that draws bars on a terminal's stderr, and nothing elsewhere."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(step: str, done: int, total: int) -> None:
            if step not in tasks or is_full(bars, tasks[step]):
                tasks[step] = bars.add_task(STEPS.get(step, step), total=total)
            bars.advance(tasks[step], done)

        yield advance


def is_full(bars: Progress, task_id: TaskID) -> bool:
    """Tell whether a bar is at its end: what is done once more, for the next knowledge base or by the next model, gets one of its own."""
    return any(task.finished for task in bars.tasks if task.id == task_id)
