"""What a person should know of a dataset before anybody trains on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from core.redaction import Kind
from core.training.dataset import Dataset, Row

_FIELDS = ("source", "origin", "cause")


def card(dataset: Dataset, versions: dict[str, str]) -> dict[str, Any]:
    """Return the figures of a dataset: counts, lengths in words, what was left out and why; `versions` name what it was built with."""
    rows = dataset.rows
    counts = {name: dict(Counter(row["meta"][name] or "none" for row in rows)) for name in _FIELDS}
    return {
        "rows": len(rows),
        "by": counts,
        "customers_own_words": sum(row["meta"]["own_words"] for row in rows),
        "with_rejected_answer": sum(row["meta"]["rejected"] is not None for row in rows),
        "passage_not_found": sum(not row["meta"]["passage_was_found"] for row in rows),
        "masked": _masked(rows),
        "left_out": dict(dataset.left_out),
        "words": {"prompt": _lengths(_said(row, -2) for row in rows), "answer": _lengths(_said(row, -1) for row in rows)},
        "versions": versions,
    }


def markdown(figures: dict[str, Any], name: str) -> str:
    """Return the figures as a page to read."""
    shape = "each `messages` (the prompt as it is served, then the answer) and `meta`"
    lines = [f"# Training data: {name}", "", f"{figures['rows']} rows, {shape}.", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {field}: {value} | {count} |" for field, counts in figures["by"].items() for value, count in sorted(counts.items())]
    lines += [
        f"| questions in a customer's own words | {figures['customers_own_words']} |",
        f"| with the answer that was wrong (`meta.rejected`) | {figures['with_rejected_answer']} |",
        f"| retrieval did not find the passage, so it was put in | {figures['passage_not_found']} |",
        *(f"| rows with a masked {kind} | {count} |" for kind, count in sorted(figures["masked"].items())),
        *(f"| left out: {reason} | {count} |" for reason, count in sorted(figures["left_out"].items())),
    ]
    lines += ["", "| words | fewest | median | 95 % | most |", "|---|---|---|---|---|"]
    lines += [f"| {part} | {' | '.join(str(value) for value in lengths.values())} |" for part, lengths in figures["words"].items()]
    lines += ["", *(f"{part}: `{version}`  " for part, version in figures["versions"].items())]
    return "\n".join([*lines, ""])


def _said(row: Row, place: int) -> str:
    text: str = row["messages"][place]["content"]
    return text


def _masked(rows: list[Row]) -> dict[str, int]:
    """By kind of what was masked, in how many rows."""
    said = [_said(row, -2) + _said(row, -1) for row in rows]
    return {kind.value: count for kind in Kind if (count := sum(f"[{kind}]" in text for text in said))}


def _lengths(texts: Iterable[str]) -> dict[str, int]:
    counts = sorted(len(text.split()) for text in texts) or [0]
    return {
        "fewest": counts[0],
        "median": counts[len(counts) // 2],
        "p95": counts[min(len(counts) - 1, len(counts) * 95 // 100)],
        "most": counts[-1],
    }
