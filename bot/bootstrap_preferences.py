"""The part of the object graph that learns preferences; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bot.bootstrap import Frontdesk
from bot.bootstrap_corrections import corrected_examples, judged_examples
from bot.bootstrap_models import chosen_base, version_of
from bot.bootstrap_training import Count, Material, base_of, describe, is_corrected, material_from, material_of
from core.errors import TrainingError
from core.registry import EXTRACTIVE, REMOTE, ModelVersion
from core.serving import bases, chat, headroom, prefix_tuning, weights
from core.serving.bases import best_device
from core.training import fitting, pairs, parts, preferences, processes, selfplay, workplace
from core.training.dataset import Dataset, Row
from core.training.encoding import Codec, encoded, encoded_judgements, encoded_pairs
from core.training.fitting import Job, Outcome
from core.training.progress import Watch
from core.training.recipe import Recipe


@dataclass(frozen=True)
class Start:
    """What is trained: a model or, with `adapter`, what an adapter of it has learnt."""

    base: str  # what an adapter says it belongs to
    weights: weights.Weights
    version: str = ""  # of the adapter
    adapter: Path | None = None

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.version or self.base

    def shaped(self, recipe: Recipe) -> Recipe:
        """Return the recipe as it can be followed: an adapter keeps its shape."""
        return fitting.continued(recipe, self.adapter) if self.adapter else recipe


async def start_of(graph: Frontdesk, named: str | None) -> Start:
    """Return what preferences are learnt on: what is named, else what serves, else the best model at hand.

    Raises `TrainingError` for what cannot be trained here, `ModelError` for files that are not as they were.
    """
    version = await _version(graph, named)
    if version is None or not version.base or version.base.startswith(REMOTE):
        asked = version.model_id if version else named
        return Start(*await base_of(graph, asked if asked is not None else await asyncio.to_thread(chosen_base, graph)))
    adapter = await asyncio.to_thread(graph.artifacts.open, version)
    if prefix_tuning.is_one(adapter.folder):
        raise TrainingError(f"{version.model_id} is a prefix, and preferences go on from a LoRA or a whole model. Name one: --base MODEL")
    return Start(*await base_of(graph, version.base), version.model_id, adapter.folder)


async def _version(graph: Frontdesk, named: str | None) -> ModelVersion | None:
    if named is not None:
        known = await graph.model_registry.versions()
        return next((one for one in known if named in (one.model_id, one.location)), None)
    serves = await version_of(graph, None)
    is_here = serves.location != EXTRACTIVE and not f"{serves.base or serves.location}".startswith(REMOTE)
    return serves if is_here else None


async def preferences_of(graph: Frontdesk, knowledge: str | None, recipe: Recipe, count: Count) -> Material:
    """Return what the method of a recipe learns from. Raises `TrainingError` where that is too little, with what to do.

    DPO takes approved corrections of what a model wrote, KTO what customers judged, self-play all that answers are learnt from.
    """
    if recipe.method == "spin":
        return await material_of(graph, knowledge, recipe, count)
    served = await graph.served_knowledge(knowledge)
    is_kto = recipe.method == "kto"
    source = judged_examples(graph) if is_kto else corrected_examples(graph)
    examples = await source.examples() if is_corrected(graph, served) else ()
    if not is_kto:
        return await material_from(graph, served, examples, recipe, count, _paired, pairs.refuse_few)
    found = await material_from(graph, served, examples, recipe, count, lambda dataset: dataset, pairs.refuse_one_sided)
    liked, disliked = pairs.sides([*found.parts.train, *found.parts.held_out])
    return replace(found, figures=found.figures | {"parts": found.figures["parts"] | {"liked": liked, "disliked": disliked}})


def _paired(dataset: Dataset) -> Dataset:
    return pairs.paired(parts.settled(dataset))


def train_preferences(
    graph: Frontdesk, start: Start, recipe: Recipe, material: Material, out: Path | None, watch: Watch
) -> tuple[Path, Outcome]:
    """Train an adapter on what is preferred, write it with its run and its data card, and return where, and what came of it. Blocks.

    Raises `TrainingError`.
    """
    if processes.count() > 1:
        raise TrainingError("Preferences are learnt by one process. Run the same command without accelerate launch.")
    root = graph.settings.data_dir / "training"
    folder = out or root / f"preferences-{workplace.digest(start.name, str(recipe), material.sha256)}"
    device = best_device() if graph.settings.device == "auto" else graph.settings.device
    with workplace.alone(root / "lock"):
        load = partial(bases.load, start.weights, device, "float32")
        model, tokenizer = load()
        rows, judged = (_encoded(part, tokenizer, recipe) for part in (material.parts.train, material.parts.held_out))
        if not rows or not judged:
            raise TrainingError(f"Every example is longer than {recipe.max_length} tokens. Set a larger max_length in the recipe.")
        job = Job(start.base, recipe, material.sha256, rows, judged, folder, device, start.adapter)
        if recipe.method == "spin":
            del model  # each iteration opens its own
            outcome = selfplay.fit(job, load, partial(headroom.free_bytes, device), watch)
        else:
            outcome = preferences.fit(job, model, tokenizer, headroom.free_bytes(device), watch)
    origin = f" start={start.version}" if start.version else ""
    describe(folder, start.base, f"{recipe}{origin}", material, _scores(outcome, len(judged)))
    return folder, outcome


def _encoded(rows: tuple[Row, ...], tokenizer: Any, recipe: Recipe) -> list[Any]:
    codec = Codec(partial(chat.encode, tokenizer), partial(chat.encode_answer, tokenizer))
    match recipe.method:
        case "kto":
            return [*encoded_judgements(rows, codec, recipe.max_length)]
        case "spin":
            return [*encoded(rows, codec, recipe.max_length)]
        case _:
            return [*encoded_pairs(rows, codec, recipe.max_length)]


def _scores(outcome: Outcome, rows: int) -> dict[str, float]:
    measured = {"preference_loss": outcome.after, "preference_loss_before": outcome.before, "held_out_rows": float(rows)}
    return measured | {f"preference_{name}": value for name, value in outcome.figures.items()}
