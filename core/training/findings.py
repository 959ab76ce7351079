"""What a report says, in words and rows, for every form in which it is shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from core import plots
from core.learning import Interval, Loss, Report, Sample
from core.plots import Curve, Forest
from core.text import clean
from core.training.legend import Better, entry, in_order

_Item = TypeVar("_Item")
_MOST_SAMPLES = 10  # of each end: more are not read
_MOST_POINTS = 200  # of a curve 460 units wide
_MOST_ROWS = 40  # of the table beside it
_COUNTED_SILENCE = {"citation", "groundedness"}
_ABOUT_SILENCE = (
    "Differences are taken question by question. There an answer that abstains though a passage answers counts as neither cited nor "
    "grounded, so that a model does not gain by saying less; before and after are of the answers that were written."
)


class Row(NamedTuple):
    """One figure; texts, ready to be shown."""

    label: str
    meaning: str
    better: str
    before: str
    after: str
    difference: str
    interval: str
    verdict: str


class Pair(NamedTuple):
    """One question as both versions answered it; texts, ready to be shown."""

    question: str
    reference: str
    before: str
    after: str
    rouge_l_before: str
    rouge_l_after: str


@dataclass(frozen=True, slots=True)
class Findings:
    """A report, ready to be shown."""

    outcome: str
    before: str  # what the versions are called
    after: str
    rows: tuple[Row, ...]
    note: str
    forest: Forest
    curve: Curve
    losses: tuple[tuple[str, str, str], ...]  # step, train, held out
    worst: tuple[Pair, ...]
    best: tuple[Pair, ...]
    versions: Mapping[str, str]


def findings(report: Report) -> Findings:
    """Return what a report says."""
    losses = [_finite(one) for one in report.losses]
    measured = {name for side in (report.before, report.after) for name, value in side.items() if value is not None}
    named = in_order(measured | set(report.differences))
    compared = [name for name in named if name in report.differences]
    return Findings(
        outcome=_outcome(report, compared),
        before=clean(report.versions.get("against", "")) or "Before",
        after=clean(report.versions.get("model", "")) or "After",
        rows=tuple(_row(report, name) for name in named),
        note=_ABOUT_SILENCE if _COUNTED_SILENCE & set(compared) else "",
        forest=plots.forest([(entry(name).label, report.differences[name]) for name in compared]),
        curve=plots.curve([_thin(_points(losses, "train"), _MOST_POINTS), _thin(_points(losses, "held_out"), _MOST_POINTS)]),
        losses=tuple((str(one.step), _told(one.train), _told(one.held_out)) for one in _of_table(losses)),
        worst=tuple(_pair(one) for one in report.samples[:_MOST_SAMPLES] if one.rouge_l_after < one.rouge_l_before),
        best=tuple(_pair(one) for one in report.samples[: -_MOST_SAMPLES - 1 : -1] if one.rouge_l_after > one.rouge_l_before),
        versions={clean(name): clean(value) for name, value in report.versions.items()},
    )


def main_row(report: Report) -> Row | None:
    """Return the figure that is told where there is room for one, None where nothing was compared."""
    compared = in_order(set(report.differences))
    return _row(report, compared[0]) if compared else None


def verdict(name: str, found: Interval) -> str:
    """Return in words what a difference says: an interval that holds zero says nothing."""
    better = entry(name).better
    if found.low <= 0 <= found.high:
        return "no clear difference"
    if better is Better.NEITHER:
        return "higher" if found.low > 0 else "lower"
    return "better" if (found.low > 0) is (better is Better.HIGHER) else "worse"


def _outcome(report: Report, compared: Sequence[str]) -> str:
    """The first sentence: who is better in what."""
    count = report.after.get("n")
    where = f"On the same {count:,.0f} questions" if count else "On the same questions"
    said: dict[str, list[str]] = {"better": [], "worse": [], "no clear difference": []}
    for name in compared:
        said.setdefault(verdict(name, report.differences[name]), []).append(_named(name, report.differences[name]))
    if not compared:
        return "Nothing could be compared question by question: the figures only stand side by side."
    if not said["better"] and not said["worse"]:
        return f"{where} there is no clear difference between the versions in {_list(said['no clear difference'])}."
    unclear = f", with no clear difference in {_list(said['no clear difference'])}" if said["no clear difference"] else ""
    better, worse = _list(said["better"]), _list(said["worse"])
    if not better:
        return f"{where} the new version is worse in {worse} and better in nothing that was compared{unclear}."
    return f"{where} the new version is better in {better} and worse in {worse or 'nothing that was compared'}{unclear}."


def _named(name: str, found: Interval) -> str:
    label = entry(name).label
    return f"“{label}”" if found.low <= 0 <= found.high else f"“{label}” ({found.difference:+.3f})"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def _row(report: Report, name: str) -> Row:
    about, found = entry(name), report.differences.get(name)
    told = (f"{found.difference:+.3f}", f"{found.low:+.3f} to {found.high:+.3f}", verdict(name, found)) if found else ("", "", "")
    before, after = (_figure(name, figures.get(name)) for figures in (report.before, report.after))
    return Row(about.label, about.meaning, about.better, before, after, *told)


def _figure(name: str, value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if isinstance(value, int) or name.endswith("_ms") else f"{value:.3f}"


def _told(loss: float | None) -> str:
    return "" if loss is None else f"{loss:.4f}"


def _finite(one: Loss) -> Loss:
    """A loss that is no number, as after a step too far, cannot be drawn."""
    return one._replace(
        train=one.train if one.train is not None and math.isfinite(one.train) else None,
        held_out=one.held_out if one.held_out is not None and math.isfinite(one.held_out) else None,
    )


def _points(losses: Iterable[Loss], name: str) -> list[tuple[float, float]]:
    return [(one.step, value) for one in losses if (value := getattr(one, name)) is not None]


def _of_table(losses: Sequence[Loss]) -> list[Loss]:
    """All steps at which held-out loss was taken, and as many others as can be read."""
    judged, others = [one for one in losses if one.held_out is not None], [one for one in losses if one.held_out is None]
    kept = _thin(judged, _MOST_ROWS)
    return sorted(kept + _thin(others, max(0, _MOST_ROWS - len(kept))), key=lambda one: one.step)


def _thin(items: Sequence[_Item], most: int) -> list[_Item]:
    """Return at most so many, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[place * (len(items) - 1) // (most - 1)] for place in range(most)] if most > 1 else list(items[-most:] if most else ())


def _pair(one: Sample) -> Pair:
    scores = (f"{one.rouge_l_before:.2f}", f"{one.rouge_l_after:.2f}")
    return Pair(clean(one.question), clean(one.reference), clean(one.before), clean(one.after), *scores)
