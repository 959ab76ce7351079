"""`frontdesk train preferences`: models that learn which of two answers is the better one."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path
from typing import Any

import click

from bot.bootstrap import Frontdesk
from bot.bootstrap_preferences import Start, preferences_of, start_of, train_preferences
from bot.bootstrap_training import Material
from bot.terminal import out, print_json, progress, with_frontdesk
from core.errors import FrontdeskError
from core.training import recipe as recipes
from core.training.fitting import Outcome
from core.training.recipe import PREFERENCES, Recipe

_DEFAULT = "dpo"


@click.command("preferences")
@click.option("--recipe", "recipe_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML; else DPO's defaults.")
@click.option("--knowledge", metavar="NAME", help="Knowledge base; by default the served one.")
@click.option("--base", metavar="MODEL", help="A registered version, an adapter too, ORG/NAME or a folder; else the version that serves.")
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where the adapter goes; else in data_dir.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(recipe_file: Path | None, knowledge: str | None, base: str | None, folder: Path | None, as_json: bool) -> None:
    """Teach the model that serves what is preferred: dpo, kto or spin, as the recipe says.

    \b
    dpo   approved corrections of what a model wrote: the corrected answer over the one it gave
    kto   what customers gave a thumbs up or down
    spin  what staff would answer over what the model answers itself; needs no correction and no thumb

    The result is a folder with a LoRA adapter, its run and its data card, for `frontdesk models import`. Where a run was cut off, the same
    command goes on. Loss curves: tensorboard --logdir FOLDER.work

    \b
    Example:
      frontdesk train preferences --recipe dpo.toml --out out/run-8
      frontdesk models import out/run-8
    """
    recipe = recipes.read(recipe_file, _DEFAULT) if recipe_file else recipes.default(_DEFAULT)
    recipe.refuse_other(*PREFERENCES)
    document = with_frontdesk(lambda graph: _preferences(graph, recipe, knowledge, base, folder))
    if as_json:
        print_json(document)
        return
    out.print(
        f"Held-out loss {document['before']:.3f} → [bold]{document['after']:.3f}[/bold] after {document['steps']} steps, "
        f"{document['train']} examples; what is preferred gained {document['margin']:.1f} nats on what is not.\n"
        f"Next: frontdesk models import {document['folder']}",
        soft_wrap=True,
    )


async def _preferences(graph: Frontdesk, recipe: Recipe, knowledge: str | None, named: str | None, folder: Path | None) -> dict[str, Any]:
    from bot.commands.train import bars

    actor = f"cli:{getpass.getuser()}"
    try:
        start = await start_of(graph, named)
        recipe = start.shaped(recipe)
        with progress() as count:
            material = await preferences_of(graph, knowledge, recipe, count)
        with bars("Training") as watch:
            place, outcome = await asyncio.to_thread(train_preferences, graph, start, recipe, material, folder, watch)
    except FrontdeskError as error:
        await graph.audit_log.record(actor, "train.preferences", named or "", "refused", problem=str(error))
        raise
    await graph.audit_log.record(actor, "train.preferences", str(place), "done", base=start.name, dataset=material.sha256)
    return _document(place, start, recipe, material, outcome)


def _document(place: Path, start: Start, recipe: Recipe, material: Material, outcome: Outcome) -> dict[str, Any]:
    return {
        "folder": str(place),
        "base": start.base,
        "start": start.name,
        "recipe": str(recipe),
        "dataset_sha256": material.sha256,
        "train": len(material.parts.train),
        "held_out": len(material.parts.held_out),
        "before": outcome.before,
        "after": outcome.after,
        "margin": outcome.figures.get("margin", 0.0),
        "steps": outcome.step,
    }
