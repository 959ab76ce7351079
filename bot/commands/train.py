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

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import chosen_base
from bot.bootstrap_training import Material, base_of, material_of, train_answers
from bot.commands import train_preferences, train_retriever
from bot.terminal import err, out, print_json, progress, with_frontdesk
from core.errors import FrontdeskError
from core.training import processes
from core.training import progress as training
from core.training import recipe as recipes
from core.training.recipe import Recipe

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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def answers(recipe_file: Path | None, knowledge: str | None, base: str | None, folder: Path | None, as_json: bool) -> None:
    """Teach a model to answer from its passages, with their numbers, or to say that they do not answer.

    The result is a folder with a LoRA adapter, its run and its data card, for `frontdesk models import`. Where a run was cut off, the same
    command goes on. Loss curves: tensorboard --logdir FOLDER.work. On several GPUs: accelerate launch -m bot train answers ...

    \b
    Example:
      frontdesk train answers --recipe recipe.toml --out out/run-7
      frontdesk models import out/run-7
    """
    recipe = recipes.read(recipe_file) if recipe_file else Recipe()
    recipe.refuse_other("sft")
    document = with_frontdesk(lambda graph: _answers(graph, recipe, knowledge, base, folder))
    if as_json and processes.is_first():
        print_json(document)
    elif processes.is_first():
        _print(document)


def _print(document: dict[str, Any]) -> None:
    out.print(
        f"Held-out loss {document['before']:.3f} → [bold]{document['after']:.3f}[/bold] nats a token after {document['steps']} steps, "
        f"{document['train']} examples.\nNext: frontdesk models import {document['folder']}",
        soft_wrap=True,
    )


async def _answers(graph: Frontdesk, recipe: Recipe, knowledge: str | None, named: str | None, folder: Path | None) -> dict[str, Any]:
    actor = f"cli:{getpass.getuser()}"
    try:
        base = await base_of(graph, named if named is not None else await asyncio.to_thread(chosen_base, graph))
        with progress() as count:
            material = await material_of(graph, knowledge, recipe, count)
        with bars() as watch:
            place, outcome = await asyncio.to_thread(train_answers, graph, base, recipe, material, folder, watch)
    except FrontdeskError as error:
        if processes.is_first():
            await graph.audit_log.record(actor, "train.answers", named or "", "refused", problem=str(error))
        raise
    document = _document(material, place, base[0], recipe) | outcome._asdict()
    if processes.is_first():
        await graph.audit_log.record(actor, "train.answers", str(place), "done", base=base[0], dataset=material.sha256)
    return {name: value for name, value in document.items() if name not in ("step", "figures")} | {"steps": outcome.step}


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
def bars() -> Iterator[training.Watch]:
    """Give what shows steps, loss and time left on a terminal, and one line for each look elsewhere."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}")]
    with Progress(*columns, TimeRemainingColumn(), console=err, disable=not (err.is_terminal and processes.is_first())) as drawn:
        task = drawn.add_task("Training", total=None, loss="")
        seen: list[float | None] = [None]

        def watch(now: training.Progress) -> None:
            losses = f"loss {_told(now.loss)}, held out {_told(now.held_out)}"
            drawn.update(task, description=now.what, completed=now.step, total=now.steps, loss=losses)
            if processes.is_first() and not err.is_terminal and (now.held_out != seen[0] or now.step % _EVERY == 0):
                err.print(f"{now.what}: step {now.step} of {now.steps}: {losses}")
            seen[0] = now.held_out

        yield watch


def _told(loss: float | None) -> str:
    return "-" if loss is None or not math.isfinite(loss) else f"{loss:.3f}"


command.add_command(train_preferences.command)
