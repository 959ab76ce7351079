"""`frontdesk evaluate`: measure what is served on a labelled file."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table

from bot.bootstrap import Frontdesk
from bot.commands import evaluate_answers
from bot.commands.ask import terminal_message
from bot.terminal import out, print_json, progress, with_frontdesk
from core.dialogue.engine import Engine
from core.dialogue.evaluation import Routed, detection_figures, routing_figures
from core.domain import Hit
from core.errors import FrontdeskError
from retrieval.evaluation import DEPTH, ranking_figures, relevance

_AT_ONCE = 64

T = TypeVar("T")
Row = dict[str, Any]
Figures = dict[str, Any]

_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_knowledge = click.option("--knowledge", metavar="NAME", help="Knowledge base; by default the configured one.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document with every figure.")


@click.group()
def command() -> None:
    """Measure on a labelled JSONL file."""


@command.command()
@_file
@_knowledge
@_json
def retrieval(file: Path, knowledge: str | None, as_json: bool) -> None:
    """Rank passages for {"question", "relevant": [ids]}: recall, MRR, nDCG, questions per second.

    \b
    Example:
      frontdesk evaluate retrieval questions.jsonl --knowledge default --json
    """
    rows = read_rows(file, {"question": str, "relevant": list})
    _print(with_frontdesk(lambda graph: _retrieval(graph, rows, knowledge)), as_json)


@command.command()
@_file
@_knowledge
@click.option("--label", type=click.Choice(["document", "category"]), default="document", show_default=True)
@_json
def routing(file: Path, knowledge: str | None, label: str, as_json: bool) -> None:
    """Route {"question", "expected": id or null}: accuracy, MCC, coverage and precision, calibration.

    No text is generated: what is measured is whether and from what a question is answered.

    \b
    Example:
      frontdesk evaluate routing questions.jsonl --knowledge default --label category
    """
    rows = read_rows(file, {"question": str, "expected": (str, type(None))})
    _print(with_frontdesk(lambda graph: _routing(graph, rows, knowledge, label)), as_json)


@command.command()
@_file
@_json
def handoff(file: Path, as_json: bool) -> None:
    """Recognise {"text", "wants_person": true or false}: precision and recall of "I want a person".

    \b
    Example:
      frontdesk evaluate handoff requests.jsonl
    """
    rows = read_rows(file, {"text": str, "wants_person": bool})
    _print(with_frontdesk(lambda graph: _handoff(graph, rows)), as_json)


async def _retrieval(graph: Frontdesk, rows: list[Row], knowledge: str | None) -> Figures:
    retriever = graph.retriever(await graph.served_knowledge(knowledge))
    manifest = await retriever.manifest()
    await retriever.retrieve("warm up")
    started = time.perf_counter()
    found = await _each(rows, lambda row: retriever.retrieve(row["question"], DEPTH))
    seconds = time.perf_counter() - started
    wanted = [frozenset(map(str, row["relevant"])) for row in rows]
    rankings = [(relevance(one.hits, relevant), len(relevant)) for one, relevant in zip(found, wanted, strict=True)]
    versions = {"index": manifest.version, "embedder": manifest.embedder}
    figures = ranking_figures(rankings) | {"questions_per_s": len(rows) / max(seconds, 1e-9)}
    return figures | {"n": len(rows), "versions": versions}


async def _routing(graph: Frontdesk, rows: list[Row], knowledge: str | None, label: str) -> Figures:
    retriever = graph.retriever(await graph.served_knowledge(knowledge))
    engine = await graph.engine(retriever, graph.quoting)
    routed = await _each(rows, lambda row: _route(engine, row, label))
    lineage = (await engine.reply(terminal_message("versions?", "evaluate"))).lineage
    versions = {"index": lineage.index, "embedder": lineage.embedder, "policy": lineage.policy}
    return routing_figures(routed) | {"versions": versions}


async def _route(engine: Engine, row: Row, label: str) -> Routed:
    reply = await engine.reply(terminal_message(row["question"], "evaluate"))
    best = _label(reply.hits[0], label) if reply.hits else None
    return Routed(row["expected"], best, reply.decision.answers, reply.confidence)


def _label(hit: Hit, label: str) -> str:
    return hit.passage.category or hit.passage.document_id if label == "category" else hit.passage.document_id


async def _handoff(graph: Frontdesk, rows: list[Row]) -> Figures:
    detector = graph.person_detector(graph.embedder)
    found = await _each(rows, lambda row: detector.wants_person(row["text"]))
    return detection_figures([row["wants_person"] for row in rows], found) | {"versions": {"embedder": graph.embedder.version}}


async def _each(rows: list[Row], ask: Callable[[Row], Awaitable[T]]) -> list[T]:
    """Ask many at once, as customers do, and return the results in order."""
    results: list[T] = []
    with progress() as advance:
        for start in range(0, len(rows), _AT_ONCE):
            batch = rows[start : start + _AT_ONCE]
            results += await asyncio.gather(*(ask(row) for row in batch))
            advance("answer", len(batch), len(rows))
    return results


def read_rows(file: Path, columns: dict[str, Any]) -> list[Row]:
    """Return the rows of a JSONL file. Raises `FrontdeskError` that names the line."""
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
        if line.strip():
            rows.append(_row(file, number, line, columns))
    if not rows:
        raise FrontdeskError(f"{file} holds no rows.")
    return rows


def _row(file: Path, number: int, line: str, columns: dict[str, Any]) -> Row:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise FrontdeskError(f"{file} line {number} is no JSON object: {error}") from error
    for name, kind in columns.items():
        if not isinstance(row, dict) or name not in row or not isinstance(row[name], kind):
            raise FrontdeskError(f"{file} line {number} needs {name!r}; this command reads {', '.join(columns)} per line.")
    if "reference" not in columns and not row.get("relevant", [None]):
        raise FrontdeskError(f"{file} line {number} names no relevant id; questions without an answer belong to `evaluate routing`.")
    return dict(row)


def _print(figures: Figures, as_json: bool) -> None:
    if as_json:
        print_json(figures)
        return
    table = Table("figure", "value")
    for name, value in figures.items():
        if isinstance(value, float):
            table.add_row(name, f"{value:.4f}")
        elif name != "curve":
            table.add_row(name, "-" if value is None else str(value))
    out.print(table)
    if "curve" in figures:
        _print_curve(figures["curve"])


def _print_curve(curve: list[dict[str, float]]) -> None:
    table = Table("threshold", "coverage", "precision", title="If the threshold were moved")
    for point in curve[::4]:
        table.add_row(*(f"{point[name]:.2f}" for name in ("confidence", "coverage", "precision")))
    out.print(table)


command.add_command(evaluate_answers.command)
