"""What a person should know of the wordings before a retriever is tuned on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.training.wordings import Wordings


def card(found: Wordings, versions: Mapping[str, str]) -> dict[str, Any]:
    """Return the figures of what is learnt and judged by; `versions` name what it was built with."""
    return {
        "passages": len(found.topics),
        "wordings to learn from": found.count,
        "wordings held out": len(found.held_out),
        "passages with one that staff saw in their place": sum(bool(topic.confused) for topic in found.topics),
        "left_out": {reason: count for reason, count in found.left_out.items() if count},
        "versions": {**versions, "sha256": found.sha256},
    }


def markdown(figures: Mapping[str, Any], name: str) -> str:
    """Return the figures as a page to read."""
    counts = {key: value for key, value in figures.items() if isinstance(value, int)}
    lines = [f"# Training data: {name}", "", "Wordings that lead to one passage, told from those of the others.", "", "| | |", "|---|---|"]
    lines += [f"| {part} | {count} |" for part, count in counts.items()]
    lines += [f"| left out: {reason} | {count} |" for reason, count in sorted(figures["left_out"].items())]
    lines += ["", *(f"{part}: `{version}`  " for part, version in figures["versions"].items())]
    return "\n".join([*lines, ""])
