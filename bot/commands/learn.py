"""`frontdesk learn`: the whole loop, from what staff approved to a better model that serves."""

from __future__ import annotations

import asyncio
import getpass
import math
import signal
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from bot.bootstrap import Frontdesk
from bot.bootstrap_learning import Wanted, learn, report_files
from bot.bootstrap_training import Count
from bot.terminal import STEPS, err, is_full, out, print_json, with_frontdesk
from core.errors import TrainingError
from core.learning import STOPPED, LearningRun, Report, State
from core.training import processes
from core.training import progress as training
from core.training import recipe as recipes
from core.training.gate import told
from core.training.recipe import Recipe

SCHEDULE = "schedule"  # the actor of runs that a setting starts
_EVERY = 10  # steps of training that leave a line where there is no terminal
_LEARNING_STEPS = {
    "train": "Training",
    "answer before": "Asking champion",
    "answer after": "Asking new",
    "judge before": "Judging champion",
    "judge after": "Judging new",
}


@click.command()
@click.option("--knowledge", metavar="NAME", help="Knowledge base; by default the served one, with what staff corrected.")
@click.option("--recipe", "recipe_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML; else the defaults.")
@click.option("--base", metavar="MODEL", help="A registered version, or ORG/NAME; else the base of the model that serves.")
@click.option("--retriever/--no-retriever", default=None, help="Whether to tune the embedder first; else as training.retriever says.")
@click.option("--scheduled", is_flag=True, hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    knowledge: str | None, recipe_file: Path | None, base: str | None, retriever: bool | None, scheduled: bool, as_json: bool
) -> None:
    """Learn from what staff approved: train, compare with what serves, and serve the new only if it is better.

    The embedder is tuned first; where held-out wordings surely find their passage better, every knowledge base is indexed with it.
    Then the model that writes: both answer the same held-out questions. The new version is registered in any case; staff are told,
    and can decide otherwise. Where a run was cut off, the same command goes on. Where nothing new was approved since the last one,
    it ends at once.

    \b
    Example:
      frontdesk learn
      frontdesk learn --recipe recipe.toml --json
    """
    recipe = recipes.read(recipe_file) if recipe_file else Recipe()
    recipe.refuse_other("sft")
    if processes.count() > 1:
        raise TrainingError("One process does the whole loop: run this without accelerate launch. Several may do: frontdesk train answers")
    actor = SCHEDULE if scheduled else f"cli:{getpass.getuser()}"

    def learning(graph: Frontdesk) -> Awaitable[tuple[LearningRun, tuple[Path, Path]]]:
        wanted = Wanted(recipe, knowledge, base, graph.settings.training.retriever if retriever is None else retriever)
        return _learn(graph, wanted, actor)

    run, files = with_frontdesk(learning)
    if as_json:
        print_json(_document(run, files))
    else:
        _print(run, files)
    if run.state is State.FAILED:
        raise TrainingError(run.reason)


async def _learn(graph: Frontdesk, wanted: Wanted, actor: str) -> tuple[LearningRun, tuple[Path, Path]]:
    this = asyncio.current_task()
    if this is not None:  # as Ctrl+C: the run is ended, and training stops at its next step
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    try:
        with _bars() as signs:
            run = await learn(graph, wanted, actor, signs.count, signs.watch)
    except asyncio.CancelledError:
        raise TrainingError(STOPPED) from None
    return run, report_files(graph, run)


def _document(run: LearningRun, files: tuple[Path, Path]) -> dict[str, Any]:
    fields = {name: getattr(run, name) for name in ("run_id", "actor", "model_id", "against", "reason")}
    document: dict[str, Any] = fields | {"kind": run.kind.value, "state": run.state.value}
    if run.report:
        found = {name: one._asdict() for name, one in run.report.differences.items()}
        document |= {"before": dict(run.report.before), "after": dict(run.report.after), "difference": found}
        document |= {"versions": dict(run.report.versions), "report": str(files[0])}
    return document


def _print(run: LearningRun, files: tuple[Path, Path]) -> None:
    if run.report:
        out.print(_table(run, run.report))
        out.print(f"Report: {files[0]}", markup=False, soft_wrap=True)
    match run.state:
        case State.PROMOTED:
            said = f"{run.model_id} serves now, in place of {run.against}. {run.reason}"
        case State.CHALLENGER:
            said = f"{run.against} serves on. {run.reason} To serve the new one all the same: frontdesk models promote {run.model_id}"
        case _:
            said = run.reason
    if run.state is not State.FAILED:
        out.print(said, markup=False, soft_wrap=True)


def _table(run: LearningRun, report: Report) -> Table:
    table = Table("figure", Column(run.against, overflow="fold"), Column(run.model_id, overflow="fold"), "difference (95 %)")
    for name in dict.fromkeys([*report.after, *report.differences]):
        found = report.differences.get(name)
        table.add_row(name, _shown(report.before.get(name)), _shown(report.after.get(name)), told(found) if found else "")
    return table


@dataclass(frozen=True, slots=True)
class _Signs:
    """What shows how far a run is."""

    count: Count
    watch: training.Watch


@contextmanager
def _bars() -> Iterator[_Signs]:
    """Give bars with the time left, and the loss, on a terminal; elsewhere a line for each part of the run and each look."""
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"))
    with Progress(*columns, TimeRemainingColumn(), console=err, disable=not err.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def task(step: str, total: int, *, again: bool = False) -> TaskID:
            if step not in tasks or (again and is_full(bars, tasks[step])):
                label = _LEARNING_STEPS.get(step) or STEPS.get(step, step)
                tasks[step] = bars.add_task(label, total=total, loss="")
                if not err.is_terminal:
                    err.print(f"{label}: {total}")
            return tasks[step]

        def count(step: str, done: int, total: int) -> None:
            bars.advance(task(step, total, again=True), done)

        def watch(now: training.Progress) -> None:
            said = f"loss {_shown(now.loss)}, held out {_shown(now.held_out)}"
            bars.update(task(now.what or "train", now.steps), completed=now.step, loss=said)
            if not err.is_terminal and now.loss is not None and now.step % _EVERY == 0:
                err.print(f"Step {now.step} of {now.steps}: {said}")

        yield _Signs(count, watch)


def _shown(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
