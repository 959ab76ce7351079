"""The part of the object graph that trains models; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bot.bootstrap import SAMPLE, Frontdesk
from bot.bootstrap_corrections import example_sources, reviewed_rows
from core import prompting
from core.domain import Hit, Passage, Prompt
from core.errors import ModelError, TrainingError
from core.examples import Example
from core.registry import ARTIFACT, EXTRACTIVE, REMOTE, ModelVersion
from core.serving import bases, chat, headroom, training_run, weights
from core.serving.bases import best_device
from core.training import parts, processes, search, split, workplace
from core.training.answers import fit
from core.training.card import card, markdown
from core.training.dataset import Builder, Dataset
from core.training.encoding import Codec, encoded
from core.training.faq import FaqExamples
from core.training.fitting import Job, Outcome
from core.training.parts import Parts
from core.training.progress import Watch
from core.training.recipe import Recipe
from core.training.search import Trial

Count = Callable[[str, int, int], None]  # a step, how much was done since, of how much
Tell = Callable[[Trial], None]
Base = tuple[str, weights.Weights]  # what an adapter says it belongs to, and where that is
_CARD = "README.md"


@dataclass(frozen=True)
class Material:
    """What a model learns from, and what it was built with."""

    parts: Parts
    figures: dict[str, Any]
    prompts: dict[str, Prompt]  # of its rows, by their ids

    @property
    def sha256(self) -> str:
        """The hash of all rows."""
        return self.parts.sha256


async def material_of(graph: Frontdesk, knowledge: str | None, recipe: Recipe, count: Count) -> Material:
    """Return the examples of a knowledge base: its FAQ, and for the served one what staff have corrected. Raises `TrainingError`."""
    served = await graph.served_knowledge(knowledge)
    return await material_from(graph, served, await _examples(graph, served, recipe), recipe, count)


async def material_from(
    graph: Frontdesk,
    served: str,
    examples: Sequence[Example],
    recipe: Recipe,
    count: Count,
    chosen: Callable[[Dataset], Dataset] = parts.settled,
    refuse: Callable[[Parts], None] = parts.refuse_useless,
) -> Material:
    """Return what is learnt from `examples` on a knowledge base: those rows that are `chosen`, unless they are refused."""
    retriever, store = graph.retriever(served), graph.knowledge_store

    async def find(question: str) -> tuple[Hit, ...]:
        return (await retriever.retrieve(question)).hits

    async def kept(passage_id: str) -> Passage | None:
        entry = await store.entry(served, passage_id)
        return entry.passage if entry else None

    held_out = split.held_out(examples, recipe.held_out)
    builder = Builder(find, kept, graph.settings.training.platforms, graph.settings.policy.candidate, held_out)
    dataset = chosen(await builder.build(examples, lambda: count("retrieve", 1, len(examples))))
    found = parts.parts(dataset, held_out)
    refuse(found)
    manifest = await retriever.manifest()
    versions = {"knowledge": served, "index": manifest.version, "embedder": manifest.embedder, "prompt": prompting.VERSION}
    whole = Dataset([*found.train, *found.held_out], found.left_out)
    figures = card(whole, versions | {"sha256": found.sha256}) | {"parts": {"train": len(found.train), "held out": len(found.held_out)}}
    return Material(found, figures, dataset.prompts)


async def _examples(graph: Frontdesk, served: str, recipe: Recipe) -> list[Example]:
    examples = list(await FaqExamples(partial(reviewed_rows, graph, served), recipe.unanswerable).examples())
    if is_corrected(graph, served):
        examples += [example for source in example_sources(graph) for example in await source.examples()]
    return examples


def is_corrected(graph: Frontdesk, served: str) -> bool:
    """Tell whether what staff corrected and customers judged is about this knowledge base: it is the served one."""
    return served in (SAMPLE, graph.settings.knowledge)


async def base_of(graph: Frontdesk, named: str) -> Base:
    """Return what an adapter says it belongs to, and the weights. Raises `TrainingError` for what cannot be trained here."""
    known = await graph.model_registry.versions()
    found = next((one for one in known if named in (one.model_id, one.location)), None)
    location = found.location if found else named
    if location == EXTRACTIVE or location.startswith(REMOTE) or (found is not None and found.base):
        raise TrainingError(f"{named!r} cannot be trained: it has no weights of its own here. Name a whole model: --base MODEL")
    if found is None and Path(named).expanduser().is_dir():
        raise TrainingError(f"{named} is no version yet, so no adapter of it could be imported. First: frontdesk models import {named}")
    if found is not None and found.location.startswith(ARTIFACT):
        return found.model_id, await asyncio.to_thread(graph.artifacts.open, found)
    try:
        resolved = await asyncio.to_thread(weights.resolve, location, graph.settings.model_dir, graph.report)
    except ModelError as error:
        raise TrainingError(f"There is no base to train: {error} Or name another: --base MODEL") from error
    return location, resolved


def trained_from(graph: Frontdesk, version: ModelVersion) -> str:
    """Return the model that a version was trained from: an adapter's base, or what a run says beside a whole model; empty for none."""
    if version.base or not version.location.startswith(ARTIFACT):
        return version.base
    with suppress(ModelError):  # its folder is on another machine
        return training_run.read(graph.artifacts.folder(version.location)).base
    return ""


async def origin_of(graph: Frontdesk, version: ModelVersion) -> str:
    """Return the model at the beginning of all that a version was trained from, empty for none."""
    known = {name: one for one in await graph.model_registry.versions() for name in (one.model_id, one.location)}
    origin, seen = trained_from(graph, version), {""}
    while origin not in seen and origin in known and (further := trained_from(graph, known[origin])):
        seen.add(origin)
        origin = further
    return origin


def train_answers(graph: Frontdesk, base: Base, recipe: Recipe, material: Material, out: Path | None, watch: Watch) -> tuple[Path, Outcome]:
    """Train an adapter, or a whole model, write it with its run and its data card, and return where, and the held-out losses. Blocks.

    Raises `TrainingError`.
    """
    root = _root(graph)
    folder = out or root / f"answers-{workplace.digest(base[0], str(recipe), material.sha256)}"
    with processes.alone(root / "lock"):
        outcome = _trained(graph, base, recipe, material, folder, watch)
    if processes.is_first():
        _describe(folder, base[0], recipe, material, outcome)
    return folder, outcome


def search_answers(
    graph: Frontdesk, base: Base, recipe: Recipe, material: Material, count: int, watch: Watch, tell: Tell
) -> tuple[Recipe, tuple[Trial, ...]]:
    """Return the best recipe near `recipe`, and all that were tried in short runs, of which nothing is left. Blocks.

    Raises `TrainingError`.
    """
    if processes.count() > 1:
        raise TrainingError("One process searches: run this without accelerate launch, then train with the recipe that it writes.")
    root = _root(graph)
    with processes.alone(root / "lock"), TemporaryDirectory(dir=root, prefix="search-") as folder:

        def attempt(number: int, one: Recipe) -> float:
            return _trained(graph, base, one, material, Path(folder) / str(number), watch).after

        found = search.trials(recipe, count, attempt, tell)
    return search.best(recipe, found), found


def _root(graph: Frontdesk) -> Path:
    return graph.settings.data_dir / "training"


def _trained(graph: Frontdesk, base: Base, recipe: Recipe, material: Material, folder: Path, watch: Watch) -> Outcome:
    device = best_device() if graph.settings.device == "auto" else graph.settings.device
    together = processes.count()
    # Several processes put it on their devices themselves, or parts of it (FSDP, DeepSpeed).
    model, tokenizer = bases.load(base[1], device if together == 1 else "cpu", "float32")
    codec = Codec(partial(chat.encode, tokenizer), partial(chat.encode_answer, tokenizer))
    rows, judged = (encoded(part, codec, recipe.max_length) for part in (material.parts.train, material.parts.held_out))
    if not rows or not judged:
        raise TrainingError(f"Every example is longer than {recipe.max_length} tokens. Set a larger max_length in the recipe.")
    job = Job(base[0], recipe, material.sha256, rows, judged, folder, device, processes=together)
    free = headroom.free_bytes(device) // (together if device == "cpu" else 1)
    return fit(job, model, tokenizer, free, watch)


def _describe(folder: Path, base: str, recipe: Recipe, material: Material, outcome: Outcome) -> None:
    scores = {"held_out_loss": outcome.after, "held_out_loss_of_base": outcome.before, "held_out_rows": len(material.parts.held_out)}
    describe(folder, base, str(recipe), material, scores)


def describe(folder: Path, base: str, recipe: str, material: Material, scores: dict[str, float]) -> None:
    """Write what a run was and what it learnt from beside its adapter."""
    run = {
        "base": base,
        "recipe": f"{recipe} code={version('frontdesk')} prompt={prompting.VERSION}",
        "dataset_sha256": material.sha256,
        "scores": scores,
    }
    figures = material.figures | {"versions": material.figures["versions"] | {"base": base, "recipe": recipe}}
    (folder / training_run.FILE).write_text(json.dumps(run, indent=1), encoding="utf-8")
    (folder / _CARD).write_text(markdown(figures, folder.name), encoding="utf-8")
