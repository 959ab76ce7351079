"""`frontdesk export`: what training would see, for a person to read first."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from bot.bootstrap import Frontdesk
from bot.bootstrap_corrections import dataset_of
from bot.terminal import out, print_json, progress, with_frontdesk
from core.errors import KnowledgeError, SettingsError
from core.training.card import card, markdown
from core.training.dataset import Row

_JUDGED = ".judged.jsonl"


@click.group()
def command() -> None:
    """Write out what training would see."""


@command.command("training-data")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the figures of the data card as one JSON document.")
def training_data(path: Path, as_json: bool) -> None:
    """Write what staff approved to PATH as chat JSONL that trainers read, and a data card beside it (PATH with .card.md).

    That is corrections that somebody else approved, and answers that a reviewer found good. What customers liked and disliked goes beside
    it (PATH with .judged.jsonl): prompt, completion and label.

    Each prompt is the one that serving builds, on the knowledge that is served now. Personal data is masked. Questions in the words of
    Slack's and Discord's customers are in it only where training.customer_text names their platform; those of erased people are not.

    \b
    Example:
      frontdesk export training-data approved.jsonl
    """
    with progress() as advance:
        dataset, versions = with_frontdesk(lambda graph: _dataset(graph, advance))
    if not dataset.rows:
        reasons = "; ".join(f"{count} {reason}" for reason, count in dataset.left_out.items()) or "nothing is approved yet"
        raise KnowledgeError(f"There is nothing to export: {reasons}. Nothing was written.")
    judged = [row for row in dataset.rows if "liked" in row["meta"]]
    lines = _lines(row for row in dataset.rows if "liked" not in row["meta"])
    beside = _lines(map(_judgement, judged))
    figures = card(dataset, versions | {"sha256": hashlib.sha256((lines + beside).encode()).hexdigest()})
    _write(path, lines)
    _write_or_remove(path.with_suffix(_JUDGED), beside)
    _write(path.with_suffix(".card.md"), markdown(figures, path.name))
    if as_json:
        print_json(figures | {"path": str(path)})
        return
    left_out = sum(dataset.left_out.values())
    also = f", {len(judged)} that customers judged to {path.with_suffix(_JUDGED)}" if judged else ""
    rows = len(dataset.rows) - len(judged)
    out.print(f"Wrote {rows} rows to {path}{also} and their card to {path.with_suffix('.card.md')}; left out: {left_out}.")
    for reason, count in dataset.left_out.items():
        out.print(f"  {count} {reason}", style="dim", markup=False)


def _lines(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _judgement(row: Row) -> Row:
    """Return what trainers read of an answer that was liked or disliked; nobody is to take it for one to write."""
    return {"prompt": row["messages"][:-1], "completion": row["messages"][-1:], "label": row["meta"]["liked"], "meta": row["meta"]}


async def _dataset(graph: Frontdesk, advance: Any) -> Any:
    return await dataset_of(graph, lambda total: advance("retrieve", 1, total))


def _write_or_remove(path: Path, text: str) -> None:
    """Write a file, or take away that of an earlier export where there is nothing to write: somebody in it may have been erased."""
    if text:
        _write(path, text)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    """Write all of it or nothing, for its owner only: people who asked are in it."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error
