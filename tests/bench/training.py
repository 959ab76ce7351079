"""What training takes and what it is good for: tokens per second and peak memory beside trl's defaults, and answers before and after.

    make bench-training ARGS="--knowledge FAQ.jsonl --questions ANSWERS.jsonl"

FAQ.jsonl holds rows as `frontdesk knowledge import` reads them; ANSWERS.jsonl has one {"question", "reference", "relevant": [id]} a
line. A fifth of the FAQ is held out: nothing of it is learnt from. The questions to the rest are what is learnt. Then both models answer
questions to what was held out, with passages that retrieval finds in the whole FAQ; every fifth of these questions has its passage
withheld, and should not be answered. Without arguments the text that ships is used: its alternatives are the questions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_evaluation import Asked, asked, written
from bot.bootstrap_training import Material, base_of, material_of, train_answers
from bot.settings import Settings
from bot.telemetry import quiet_libraries
from bot.terminal import err, progress, report
from core import prompting
from core.registry import EXTRACTIVE, ModelVersion
from core.serving import likelihood, weights
from core.serving.likelihood import Expected
from core.training import recipe as recipes
from core.training.chance import draw
from core.training.evaluation import compared, figures
from core.training.progress import Progress
from core.training.recipe import Recipe

Row = dict[str, Any]
_HELD_OUT = 5  # one in so many rows of the FAQ is judged on, and of its questions as many go without their passage
_ACTOR = "bench"
RECIPE = Recipe(epochs=0.6, accumulation=2, looks=3, held_out=0.08, unanswerable=0.05)  # a quarter of an hour on two cores
_SHOWN = ("loss", "rouge_l", "citation", "groundedness", "abstention", "abstention_precision", "abstention_recall", "p50_ms")


class Lessons(NamedTuple):
    """A FAQ to learn from, the whole one to search in, and questions to what is in the second alone."""

    learnt: list[Row]
    searched: list[Row]
    judged: list[Row]


def main() -> None:
    """Run the benchmark; the last line on stdout is one JSON document."""
    arguments = _arguments()
    quiet_libraries()
    recipe = recipes.read(arguments.recipe) if arguments.recipe else RECIPE
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "data", model=EXTRACTIVE)
        document = asyncio.run(_measured(arguments, settings, recipe, lessons(arguments)))
    print(json.dumps(document | {"versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft")}}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--knowledge", type=Path, help="FAQ rows")
    parser.add_argument("--questions", type=Path, help="questions to them, with references")
    parser.add_argument("--recipe", type=Path, help="TOML; by default one that takes two cores a quarter of an hour")
    parser.add_argument("--wordings", type=int, default=3, help="questions to each row that are learnt from")
    parser.add_argument("--judged", type=int, default=60, help="questions to what was held out")
    parser.add_argument("--speed-rows", type=int, default=16, help="rows of the race; 0: no race")
    parser.add_argument("--rounds", type=int, default=2, help="of the race")
    return parser.parse_args()


def lessons(arguments: argparse.Namespace) -> Lessons:
    """Split a FAQ: the hash of an id decides, so that it is the same in every run."""
    rows = _rows(arguments.knowledge) if arguments.knowledge else _shipped()
    asked_of: dict[str, list[Row]] = defaultdict(list)
    for question in _rows(arguments.questions) if arguments.questions else _own_questions(rows):
        asked_of[question["relevant"][0]].append(question)
    held_out = {row["id"] for row in rows if draw(f"bench {row['id']}", _HELD_OUT) == 0}
    learnt = [
        row | {"alternatives": [one["question"] for one in asked_of[row["id"]][: arguments.wordings]]}
        for row in rows
        if row["id"] not in held_out
    ]
    every = [question for row in rows if row["id"] in held_out for question in asked_of[row["id"]]]
    count = min(arguments.judged, len(every))
    judged = [every[place * len(every) // count] for place in range(count)]
    return Lessons(learnt, [row | {"alternatives": []} for row in rows], [_posed(one, place) for place, one in enumerate(judged)])


def _posed(question: Row, place: int) -> Row:
    return question if place % _HELD_OUT else question | {"withheld": question["relevant"], "reference": None}


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _shipped() -> list[Row]:
    with as_file(files("core.training") / "shipped" / "faq.jsonl") as path:
        return _rows(path)


def _own_questions(rows: Sequence[Row]) -> list[Row]:
    return [
        {"question": wording, "reference": row["answer"], "relevant": [row["id"]]}
        for row in rows
        for wording in row.get("alternatives", [])
    ]


async def _measured(arguments: argparse.Namespace, settings: Settings, recipe: Recipe, given: Lessons) -> dict[str, Any]:
    async with frontdesk(settings, report) as graph:
        await _publish(graph, "learnt", given.learnt)
        await _publish(graph, "searched", given.searched)
        with progress() as count:
            material = await material_of(graph, "learnt", recipe, count)
        speed = _race(material, arguments) if arguments.speed_rows else {}
        base, tuned, outcome = await _trained(graph, recipe, material)
        with progress() as count:
            questions, versions = await asked(graph, "searched", given.judged, count)
        document = await _judged(graph, base, tuned, questions)
    counts = {"train": len(material.parts.train), "held_out_faqs": len(given.searched) - len(given.learnt)}
    _show(document, speed)
    return speed | document | counts | {"recipe": str(recipe), "training": outcome, "dataset_sha256": material.sha256, "lineage": versions}


async def _publish(graph: Frontdesk, name: str, rows: Sequence[Row]) -> None:
    """Import and publish rows as the command line does."""
    from retrieval import documents

    file = graph.settings.data_dir / f"{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    reading = documents.read(file, file.name, strict=True)
    await graph.knowledge_store.replace_source(name, reading.source, reading.passages(), keep_missing=lambda: False)
    with progress() as count:
        await graph.publish(name, _ACTOR, count)


async def _trained(graph: Frontdesk, recipe: Recipe, material: Material) -> tuple[ModelVersion, ModelVersion, dict[str, Any]]:
    found = await base_of(graph, weights.SMOLLM)

    def watch(now: Progress) -> None:
        err.print(f"Step {now.step} of {now.steps}: loss {now.loss}, held out {now.held_out}", style="dim")

    folder, outcome = await asyncio.to_thread(train_answers, graph, found, recipe, material, None, watch)
    base = await asyncio.to_thread(graph.artifacts.take, weights.SMOLLM, (), actor=_ACTOR)
    await graph.model_registry.register(base)
    tuned = await asyncio.to_thread(graph.artifacts.take, str(folder), (base,), actor=_ACTOR)
    await graph.model_registry.register(tuned)
    return base, tuned, outcome._asdict()


async def _judged(graph: Frontdesk, base: ModelVersion, tuned: ModelVersion, questions: list[Asked]) -> dict[str, Any]:
    found = {}
    for name, model_id in (("extractive", EXTRACTIVE), ("before", base.model_id), ("after", tuned.model_id)):
        err.print(f"{model_id} answers {len(questions)} questions", style="dim")
        with progress() as count:
            found[name] = (await written(graph, model_id, questions, count))[1]
    losses = {"extractive": None, "before": await _loss(graph, base, questions), "after": await _loss(graph, tuned, questions)}
    document: dict[str, Any] = {name: figures(answers) | {"loss": losses[name]} for name, answers in found.items()}
    for one in document.values():
        one["perplexity"] = math.exp(one["loss"]) if one["loss"] is not None else None
    return document | {"difference": {name: one._asdict() for name, one in compared(found["before"], found["after"]).items()}}


async def _loss(graph: Frontdesk, model: ModelVersion, questions: Sequence[Asked]) -> float:
    """Nats per token of the right answers, cited as serving wants them."""
    expected = []
    for one in questions:
        place = next((place for place, found in enumerate(one.prompt.passages, 1) if found.document_id in one.relevant), 0)
        if one.reference and place:
            shown = prompting.shown(one.prompt.passages[place - 1])
            expected.append(Expected(prompting.messages(one.prompt), prompting.cited(shown, place)))
    own = await asyncio.to_thread(graph.artifacts.open, model)
    found, adapter = (graph.artifacts.base(model), own.folder) if model.base else (own, None)
    return await asyncio.to_thread(likelihood.nats, found, adapter, "cpu", expected)


def _race(material: Material, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train on the same rows with this recipe and with trl's defaults, in turns, each in a process of its own."""
    from transformers import AutoTokenizer

    from tests.bench.training_speed import codec_of

    rows = list(material.parts.train)[: arguments.speed_rows]
    codec = codec_of(AutoTokenizer.from_pretrained(weights.resolve(weights.SMOLLM, Settings().model_dir).folder))
    tokens = sum(len(codec.prompt(row["messages"][:-1])) + len(codec.answer(row["messages"][-1]["content"])) for row in rows)
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "trl": []}
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("\n".join(json.dumps(row) for row in rows))
        file.flush()
        for _ in range(arguments.rounds):
            for name, found in runs.items():
                found.append(_alone(name, file.name))
                err.print(f"{name}: {tokens / found[-1]['seconds']:.0f} tokens/s", style="dim")
    speeds = {name: tokens / statistics.median(one["seconds"] for one in found) for name, found in runs.items()}
    peaks = {name: max(one["peak_bytes"] for one in found) for name, found in runs.items()}
    return {
        "tokens_per_s": speeds["ours"],
        "trl_tokens_per_s": speeds["trl"],
        "peak_mib": peaks["ours"] / 2**20,
        "trl_peak_mib": peaks["trl"] / 2**20,
        "tokens": tokens,
        "rounds": arguments.rounds,
    }


def _alone(name: str, rows: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.training_speed", name, rows]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _show(document: dict[str, Any], speed: dict[str, Any]) -> None:
    console = Console()
    if speed:
        table = Table("", "tokens/s", "peak MiB", title=f"Training, {speed['tokens']:,} tokens, median of {speed['rounds']}")
        table.add_row("this recipe", f"{speed['tokens_per_s']:.0f}", f"{speed['peak_mib']:,.0f}")
        table.add_row("trl's defaults", f"{speed['trl_tokens_per_s']:.0f}", f"{speed['trl_peak_mib']:,.0f}")
        console.print(table)
    table = Table("figure", "extractive", "before", "after", "difference (95 %)", title=f"{document['after']['n']} questions")
    for name in _SHOWN:
        told = document["difference"].get(name)
        interval = f"{told['difference']:+.3f} ({told['low']:+.3f} to {told['high']:+.3f})" if told else ""
        table.add_row(name, *(_number(document[one][name]) for one in ("extractive", "before", "after")), interval)
    console.print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
