"""The part of the object graph that tunes the embedder; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bot.bootstrap import SAMPLE, Frontdesk
from bot.bootstrap_corrections import example_sources, reviewed_rows
from core.corrections import Cause
from core.errors import ModelError, TrainingError
from core.examples import Example
from core.serving import headroom, training_run, weights
from core.serving.bases import best_device
from core.storage.correction_store import SqlCorrectionStore
from core.storage.turn_book import SqlTurnBook
from core.training import wording_card, wordings, workplace
from core.training.progress import Watch
from core.training.retriever import Job, Outcome, fit
from core.training.retriever_recipe import RetrieverRecipe
from core.training.wordings import Wordings

_CARD = "README.md"


async def wordings_of(graph: Frontdesk, knowledge: str | None, recipe: RetrieverRecipe) -> Wordings:
    """Return what leads to each passage: the FAQ as published, and for the served one what staff approved. Raises `TrainingError`."""
    served = await graph.served_knowledge(knowledge)
    passages = await reviewed_rows(graph, served)
    examples: list[Example] = []
    confused: dict[str, frozenset[str]] = {}
    if served in (SAMPLE, graph.settings.knowledge):  # staff correct what is served
        examples = [example for source in example_sources(graph) for example in await source.examples()]
        confused = await _confused(graph)
    found, left_out = wordings.topics(passages, examples, confused, graph.settings.training.platforms)
    split = await asyncio.to_thread(wordings.split, found, left_out, recipe.held_out)
    wordings.refuse_useless(split)
    return split


async def _confused(graph: Frontdesk) -> dict[str, frozenset[str]]:
    """Return which passages the bot had cited where approved corrections say that another one answers."""
    turns, found = SqlTurnBook(graph.database), defaultdict[str, set[str]](set)
    for correction in await SqlCorrectionStore(graph.database).approved():
        draft = correction.draft
        if draft.cause in (Cause.WRONG_PASSAGE, Cause.MISSING_FAQ) and draft.turn_id and correction.passage_id:
            turn = await turns.turn(draft.turn_id)
            found[correction.passage_id] |= {citation.passage_id for citation in turn.reply.citations} if turn else set()
    return {passage_id: frozenset(names) for passage_id, names in found.items()}


def embedder_base(graph: Frontdesk) -> weights.Weights:
    """Return the configured embedder, which every run begins with: tuning what was tuned would drift away from it. Blocks."""
    try:
        return weights.resolve(graph.settings.embedder, graph.settings.model_dir, graph.report)
    except ModelError as error:
        raise TrainingError(f"There is no embedder to tune: {error}") from error


def folder_of(graph: Frontdesk, base: weights.Weights, recipe: RetrieverRecipe, found: Wordings) -> Path:
    """Return where a run writes: its name is the same for the same wordings, recipe and base."""
    return graph.settings.data_dir / "training" / f"retriever-{workplace.digest(base.version, str(recipe), found.sha256)}"


def train_retriever(
    graph: Frontdesk, base: weights.Weights, recipe: RetrieverRecipe, found: Wordings, out: Path | None, watch: Watch
) -> tuple[Path, Outcome]:
    """Tune the embedder, write it with its run and its data card, and return where, and how it finds. Blocks. Raises `TrainingError`."""
    from core.serving.packing import suits_this_processor  # imports torch

    root = graph.settings.data_dir / "training"
    folder = out or folder_of(graph, base, recipe, found)
    device = best_device() if graph.settings.device == "auto" else graph.settings.device
    with workplace.alone(root / "lock"):
        job = Job(base.version, recipe, found, folder, device, bf16=device == "cuda" or suits_this_processor())
        outcome = fit(job, base.folder, headroom.free_bytes(device), watch)
    _describe(job, outcome)
    return folder, outcome


def _describe(job: Job, outcome: Outcome) -> None:
    scores = {f"held_out_{name}": value for name, value in outcome.after.figures().items()}
    scores |= {f"held_out_{name}_of_base": value for name, value in outcome.before.figures().items()}
    run: dict[str, Any] = {
        "base": job.base,
        "recipe": f"method=retriever {job.recipe} code={version('frontdesk')}",
        "dataset_sha256": job.dataset_sha256,
        "scores": scores | {"held_out_wordings": len(job.wordings.held_out)},
    }
    figures = wording_card.card(job.wordings, {"base": job.base, "recipe": str(job.recipe)})
    (job.out / training_run.FILE).write_text(json.dumps(run, indent=1), encoding="utf-8")
    (job.out / _CARD).write_text(wording_card.markdown(figures, job.out.name), encoding="utf-8")
