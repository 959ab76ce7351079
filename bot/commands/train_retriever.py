"""`frontdesk train retriever`: the embedder learns which wordings lead to one passage."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path
from typing import Any

import click

from bot.bootstrap import Frontdesk
from bot.bootstrap_retriever import embedder_base, train_retriever, wordings_of
from bot.terminal import out, print_json, with_frontdesk
from core.errors import FrontdeskError
from core.training import recipe as recipes
from core.training.retriever_recipe import RetrieverRecipe


@click.command("retriever")
@click.option("--recipe", "recipe_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML; else the defaults.")
@click.option("--knowledge", metavar="NAME", help="Knowledge base; by default the served one, with what staff corrected.")
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where the model goes; else in data_dir.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(recipe_file: Path | None, knowledge: str | None, folder: Path | None, as_json: bool) -> None:
    """Teach the embedder that the wordings of a FAQ row belong together, and to tell them from those of other rows.

    The result is a folder with a model of sentence-transformers, its run and its data card, for `frontdesk models import --kind embedder`.
    Where a run was cut off, the same command goes on. Loss curves: tensorboard --logdir FOLDER.work

    \b
    Example:
      frontdesk train retriever --out out/retriever-7
      frontdesk models import out/retriever-7 --kind embedder
    """
    recipe = recipes.read_as(RetrieverRecipe, recipe_file) if recipe_file else RetrieverRecipe()
    document = with_frontdesk(lambda graph: _retriever(graph, recipe, knowledge, folder))
    if as_json:
        print_json(document)
        return
    before, after = document["before"]["recall@1"], document["after"]["recall@1"]
    out.print(
        f"Held-out wordings found first: {before:.1%} → [bold]{after:.1%}[/bold] ({document['held_out']}) after {document['steps']} steps, "
        f"{document['wordings']} wordings of {document['passages']} passages.\n"
        f"Next: frontdesk models import {document['folder']} --kind embedder",
        soft_wrap=True,
    )


async def _retriever(graph: Frontdesk, recipe: RetrieverRecipe, knowledge: str | None, folder: Path | None) -> dict[str, Any]:
    from bot.commands.train import bars

    actor = f"cli:{getpass.getuser()}"
    try:
        base = await asyncio.to_thread(embedder_base, graph)
        found = await wordings_of(graph, knowledge, recipe)
        with bars("Training") as watch:
            place, outcome = await asyncio.to_thread(train_retriever, graph, base, recipe, found, folder, watch)
    except FrontdeskError as error:
        await graph.audit_log.record(actor, "train.retriever", graph.settings.embedder, "refused", problem=str(error))
        raise
    await graph.audit_log.record(actor, "train.retriever", str(place), "done", base=base.version, dataset=found.sha256)
    return {
        "folder": str(place),
        "base": base.version,
        "recipe": str(recipe),
        "dataset_sha256": found.sha256,
        "passages": len(found.topics),
        "wordings": found.count,
        "held_out": len(found.held_out),
        "before": outcome.before.figures(),
        "after": outcome.after.figures(),
        "steps": outcome.step,
    }
