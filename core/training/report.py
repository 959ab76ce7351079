"""A report as a file of its own: HTML that runs nothing and fetches nothing, and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from core import plots
from core.learning import Report
from core.text import clean
from core.training.findings import Findings, Pair, findings

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"  # `report_parts.html` serves other pages too
_MEANS_SOMETHING = re.compile(r"([\\`*_{}\[\]<>()#|~&@:!.])")  # to Markdown, or to what finds links and mentions in it
_TICKS = re.compile(r"`+")


def html(report: Report, title: str) -> str:
    """Return the report as a page that stands alone: no script, nothing from the network, light and dark, every text escaped."""
    template = _environment().get_template("report.html")
    return template.render(found=findings(report), title=clean(title), width=plots.WIDTH, height=plots.HEIGHT)


def markdown(report: Report, title: str) -> str:
    """Return the report as Markdown; texts of customers and models stand in code, where nothing is a link, a mention or markup."""
    found = findings(report)
    parts = [f"# {_escaped(title)}", found.outcome, "## Figures", _figures(found), found.note]
    if found.losses:
        parts += ["## Loss while training", "Nats per answer token.", _table(("Step", "Train", "Held out"), found.losses)]
    for name, pairs in (("Worst regressions", found.worst), ("Best improvements", found.best)):
        parts += [f"## {name}", *(part for number, one in enumerate(pairs, 1) for part in _sample(number, one))] if pairs else []
    if found.versions:
        rows = [(_code(name), _code(value)) for name, value in found.versions.items()]
        parts += ["## Versions", _table(("Part", "Version"), rows)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(found: Findings) -> str:
    sides = (f"Before: {_code(found.before)}", f"After: {_code(found.after)}")
    columns = ("Figure", "Better", *sides, "Difference", "95 % interval", "In short")
    return _table(columns, [(f"{row.label}: {row.meaning}" if row.meaning else row.label, *row[2:]) for row in found.rows])


def _sample(number: int, one: Pair) -> list[str]:
    texts = (("Question", one.question), ("Reference", one.reference), ("Before", one.before), ("After", one.after))
    heading = f"### {number}. ROUGE-L {one.rouge_l_before} → {one.rouge_l_after}"
    return [heading, *(f"{name}:\n\n{_fenced(text)}" for name, text in texts)]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    return _MEANS_SOMETHING.sub(r"\\\1", " ".join(clean(text).split()))


def _code(text: str) -> str:
    """Code within a line of a table: between more ticks than it holds, its pipes kept from ending the cell."""
    words = " ".join(clean(text).split()).replace("|", r"\|")
    fence = "`" * (_longest(words) + 1)
    return f"{fence} {words} {fence}" if "`" in words else f"{fence}{words}{fence}" if words else ""


def _fenced(text: str) -> str:
    fence = "`" * max(3, _longest(text) + 1)
    return f"{fence}text\n{clean(text)}\n{fence}"


def _longest(text: str) -> int:
    return max(map(len, _TICKS.findall(text)), default=0)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
