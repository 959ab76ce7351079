"""Whether a version is good enough to serve in place of the champion, from how both answered the same held-out questions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

from core.learning import Interval, Report

MAIN = "rouge_l"
_MEANS = {
    "rouge_l": "closeness to the right answers (ROUGE-L)",
    "citation": "citing the right passage",
    "groundedness": "answers backed by passages",
    "right_to_abstain": "saying so exactly when the passages do not answer",
    "abstention_precision": "being right when it says that the passages do not answer",
}
_SURE = NormalDist().inv_cdf(0.975)  # an interval of 95 %
_POWER = NormalDist().inv_cdf(0.8)  # four of five comparisons would show the difference
_INSTANT_MS = 50.0  # who answers faster is no language model, which none can be as fast as
_NOTICED_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Bar:
    """How high it hangs."""

    margin: float = 0.02  # of ROUGE-L, by which a version must be better for sure: less nobody notices
    tolerance: float = 0.05  # by which a guarded figure may seem worse: a handful of held-out questions sway it by as much
    slower: float = 2.0  # times the champion's 95th percentile of latency: they are taken one after the other on a machine that serves
    fewest: int = 20  # held-out questions with an answer: below it a bootstrap interval is narrower than it should be


class Judgement(NamedTuple):
    """Whether a version passes, why in a sentence for people, and how many more corrections would settle what is open."""

    passes: bool
    reason: str
    corrections: int = 0  # 0: more would not change it, or none are needed


def judge(report: Report, held_out: float, bar: Bar | None = None) -> Judgement:
    """Return whether the version of a report may serve; `held_out` is the share of examples that are kept for judging."""
    bar = bar or Bar()
    found, pairs = report.differences.get(MAIN), _pairs(report.after)
    if found is None:
        return Judgement(False, "None of the held-out questions has an answer to compare with.", math.ceil(bar.fewest / held_out))
    needed = max(bar.fewest, questions_needed(found, pairs, bar.margin))
    corrections = math.ceil(max(needed - pairs, 1) / held_out)
    if pairs < bar.fewest:
        few = f"Only {pairs} held-out questions can be compared, and {bar.fewest} are the fewest that tell anything."
        return Judgement(False, f"{few} {_wanted(corrections)}", corrections)
    if worse := _worse(report, bar):
        return Judgement(False, f"It is worse at {' and '.join(worse)}.")
    if found.low > bar.margin:
        return Judgement(True, f"It is better at {_MEANS[MAIN]}: {told(found)} on {pairs} questions, and worse at nothing that is guarded.")
    if found.difference <= bar.margin:
        return Judgement(False, f"It is not better by {bar.margin:g} at {_MEANS[MAIN]}: {told(found)} on {pairs} questions.")
    open_ = f"It may be better at {_MEANS[MAIN]}, but that is not sure yet: {told(found)} on {pairs} questions."
    return Judgement(False, f"{open_} {_wanted(corrections)}", corrections)


def questions_needed(found: Interval, pairs: int, margin: float) -> int:
    """Return how many held-out questions would show a difference of this size to be above the margin, four times out of five.

    n = ((z_0.975 + z_0.8) s / d)^2 (Cohen 1988, "Statistical Power Analysis", section 2.4, for paired means), where d is the difference
    beyond the margin and s the standard deviation of the paired differences, here read off the interval, which is 2 z_0.975 s / sqrt(n)
    wide. A difference within the margin needs none: no number of questions would make it larger.
    """
    beyond = found.difference - margin
    if beyond <= 0:
        return 0
    deviation = (found.high - found.low) / (2 * _SURE) * math.sqrt(pairs)
    return math.ceil(((_SURE + _POWER) * deviation / beyond) ** 2)


def told(found: Interval) -> str:
    """Return a difference and its interval, to be read."""
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _pairs(figures: Mapping[str, float | None]) -> int:
    """How many questions have an answer."""
    return int(figures.get("n") or 0) - int(figures.get("unanswerable") or 0)


def _worse(report: Report, bar: Bar) -> list[str]:
    """Return what it is worse at, of all that is guarded."""
    paired = {name: found for name, found in report.differences.items() if name != MAIN and name in _MEANS}
    worse = [f"{_MEANS[name]} ({told(found)})" for name, found in paired.items() if found.high < 0 or found.difference < -bar.tolerance]
    before, after = (figures.get("abstention_precision") for figures in (report.before, report.after))
    if before is not None and after is not None and after < before - bar.tolerance:
        worse.append(f"{_MEANS['abstention_precision']} ({before:.2f}, now {after:.2f})")
    return worse + _slower(report.before.get("p95_ms"), report.after.get("p95_ms"), bar)


def _slower(before: float | None, after: float | None, bar: Bar) -> list[str]:
    if before is None or after is None or before < _INSTANT_MS or after <= max(before * bar.slower, before + _NOTICED_MS):
        return []
    return [f"answering soon (95 % within {before / 1000:.1f} s, now {after / 1000:.1f} s)"]


def _wanted(corrections: int) -> str:
    return f"About {corrections} more approved corrections would settle it."
