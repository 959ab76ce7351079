"""`frontdesk train`: models that learn from the FAQ and from what staff approved."""

from __future__ import annotations

import asyncio
import getpass
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import chosen_base
from bot.bootstrap_training import Base, Material, base_of, material_of, search_answers, train_answers
from bot.commands import train_preferences, train_retriever
from bot.terminal import err, out, print_json, progress, with_frontdesk
from core.errors import FrontdeskError
from core.training import processes
from core.training import progress as training
from core.training import recipe as recipes
from core.training.recipe import Recipe
from core.training.search import Trial

_EVERY = 10  # steps that leave a line where there is no terminal


@click.group()
def command() -> None:
    """Train a model on the FAQ and on approved corrections."""


command.add_command(train_retriever.command)


@command.command()
@click.option("--recipe", "recipe_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML; else the defaults.")
@click.option("--knowledge", metavar="NAME", help="Knowledge base; by default the served one, with what staff corrected.")
@click.option("--base", metavar="MODEL", help="A registered version, ORG/NAME or a folder; else the best at hand.")
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where the adapter goes; else in data_dir.")
@click.option("--search", "tries", type=click.IntRange(2, 200), metavar="N", help="Try N recipes in short runs first, and take the best.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def answers(
    recipe_file: Path | None, knowledge: str | None, base: str | None, folder: Path | None, tries: int | None, as_json: bool
) -> None:
    """Teach a model to answer from its passages, with their numbers, or to say that they do not answer.

    The result is a folder with an adapter or a whole model, its run and its data card, for `frontdesk models import`. Where a run was cut
    off, the same command goes on. Loss curves: tensorboard --logdir FOLDER.work. On several GPUs: accelerate launch -m bot train answers

    \b
    Example:
      frontdesk train answers --recipe recipe.toml --out out/run-7
      frontdesk train answers --search 8 --out out/run-7
      frontdesk models import out/run-7
    """
    recipe = recipes.read(recipe_file) if recipe_file else Recipe()
    recipe.refuse_other("sft")
    document = with_frontdesk(lambda graph: _answers(graph, recipe, knowledge, base, folder, tries))
    if as_json and processes.is_first():
        print_json(document)
    elif processes.is_first():
        _print(document)


def _print(document: dict[str, Any]) -> None:
    if "trials" in document:
        _print_trials(document["trials"], document["recipe_file"])
    out.print(
        f"Held-out loss {document['before']:.3f} → [bold]{document['after']:.3f}[/bold] nats a token after {document['steps']} steps, "
        f"{document['train']} examples.\nNext: frontdesk models import {document['folder']}",
        soft_wrap=True,
    )


def _print_trials(trials: list[dict[str, Any]], recipe_file: str) -> None:
    table = Table("trial", "learning rate", "rank", "dropout", "held-out loss", title="Short runs, best first")
    for trial in sorted(trials, key=lambda one: (one["held_out"] is None, one["held_out"])):
        loss = "nothing learnt" if trial["held_out"] is None else f"{trial['held_out']:.3f}"
        table.add_row(str(trial["number"]), f"{trial['learning_rate']:g}", str(trial["rank"]), f"{trial['dropout']:g}", loss)
    out.print(table)
    out.print(f"The best recipe: {recipe_file}", soft_wrap=True)


async def _answers(
    graph: Frontdesk, recipe: Recipe, knowledge: str | None, named: str | None, folder: Path | None, tries: int | None
) -> dict[str, Any]:
    actor = f"cli:{getpass.getuser()}"
    try:
        base = await base_of(graph, named if named is not None else await asyncio.to_thread(chosen_base, graph))
        with progress() as count:
            material = await material_of(graph, knowledge, recipe, count)
        trials: tuple[Trial, ...] = ()
        if tries:
            recipe, trials = await _searched(graph, base, recipe, material, tries)
        with bars("Training") as watch:
            place, outcome = await asyncio.to_thread(train_answers, graph, base, recipe, material, folder, watch)
    except FrontdeskError as error:
        if processes.is_first():
            await graph.audit_log.record(actor, "train.answers", named or "", "refused", problem=str(error))
        raise
    document = _document(material, place, base[0], recipe) | outcome._asdict() | _search_document(trials, recipe, place)
    if processes.is_first():
        await graph.audit_log.record(actor, "train.answers", str(place), "done", base=base[0], dataset=material.sha256)
    return {name: value for name, value in document.items() if name not in ("step", "figures")} | {"steps": outcome.step}


async def _searched(graph: Frontdesk, base: Base, recipe: Recipe, material: Material, tries: int) -> tuple[Recipe, tuple[Trial, ...]]:
    def tell(trial: Trial) -> None:
        loss = f"held out {_told(trial.held_out)}" if trial.held_out is not None else trial.problem
        one = trial.recipe
        err.print(f"Trial {trial.number} of {tries}: learning_rate {one.learning_rate:g}, rank {one.rank}, dropout {one.dropout:g}: {loss}")

    with bars("Searching") as watch:
        return await asyncio.to_thread(search_answers, graph, base, recipe, material, tries, watch, tell)


def _search_document(trials: tuple[Trial, ...], recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Return what was tried, the best of it being written beside the folder; nothing when nothing was searched."""
    if not trials:
        return {}
    file = folder.with_name(f"{folder.name}.toml")
    file.write_text(recipes.toml(recipe), encoding="utf-8")
    told = [
        {"number": one.number, "held_out": one.held_out, "problem": one.problem}
        | {name: getattr(one.recipe, name) for name in ("learning_rate", "rank", "alpha", "dropout")}
        for one in trials
    ]
    return {"trials": told, "recipe_file": str(file)}


def _document(material: Material, folder: Path, base: str, recipe: Recipe) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "base": base,
        "recipe": str(recipe),
        "dataset_sha256": material.sha256,
        "train": len(material.parts.train),
        "held_out": len(material.parts.held_out),
    }


@contextmanager
def bars(what: str) -> Iterator[training.Watch]:
    """Give what shows steps, loss and time left on a terminal, and one line for each look elsewhere."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}")]
    with Progress(*columns, TimeRemainingColumn(), console=err, disable=not (err.is_terminal and processes.is_first())) as drawn:
        task = drawn.add_task(what, total=None, loss="")
        seen: list[float | None] = [None]

        def watch(now: training.Progress) -> None:
            losses = f"loss {_told(now.loss)}, held out {_told(now.held_out)}"
            drawn.update(task, description=now.what or what, completed=now.step, total=now.steps, loss=losses)
            if processes.is_first() and not err.is_terminal and (now.held_out != seen[0] or now.step % _EVERY == 0):
                err.print(f"{now.what or what}: step {now.step} of {now.steps}: {losses}")
            seen[0] = now.held_out

        yield watch


def _told(loss: float | None) -> str:
    return "-" if loss is None or not math.isfinite(loss) else f"{loss:.3f}"


command.add_command(train_preferences.command)
