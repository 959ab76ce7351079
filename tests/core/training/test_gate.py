"""The gate lets pass what is surely better and worse at nothing; else it says why not, and what would settle it."""

from __future__ import annotations

from dataclasses import replace
from statistics import stdev
from typing import Any

import numpy as np
import pytest

from core.learning import Interval, Report
from core.training.evaluation import interval
from core.training.gate import Bar, judge, questions_needed

FIGURES: dict[str, float | None] = {"n": 60, "unanswerable": 10, "abstention_precision": 0.9, "p95_ms": 2000.0}
SAME = Interval(0.0, -0.02, 0.02)
BETTER = Report(FIGURES, FIGURES, {"rouge_l": Interval(0.2, 0.1, 0.3), "citation": SAME, "groundedness": SAME, "right_to_abstain": SAME})


def differing(report: Report = BETTER, **found: Interval) -> Report:
    return replace(report, differences={**report.differences, **found})


def now(**figures: float | None) -> Report:
    return replace(BETTER, after={**BETTER.after, **figures})


def test_what_is_surely_better_and_worse_at_nothing_passes() -> None:
    passes, reason, corrections = judge(BETTER, 0.15)
    assert (passes, corrections) == (True, 0)
    assert reason == (
        "It is better at closeness to the right answers (ROUGE-L): +0.200 (+0.100 to +0.300) on 50 questions, "
        "and worse at nothing that is guarded."
    )


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (differing(citation=Interval(-0.03, -0.05, -0.01)), "It is worse at citing the right passage (-0.030 (-0.050 to -0.010))."),
        (differing(groundedness=Interval(-0.06, -0.2, 0.1)), "It is worse at answers backed by passages"),
        (differing(right_to_abstain=Interval(-0.2, -0.3, -0.1)), "exactly when the passages do not answer"),
        (now(abstention_precision=0.8), "being right when it says that the passages do not answer (0.90, now 0.80)"),
        (now(p95_ms=4100.0), "answering soon (95 % within 2.0 s, now 4.1 s)"),
    ],
)
def test_what_is_worse_at_something_guarded_does_not_pass_however_much_better_it_is_otherwise(report: Report, said: str) -> None:
    judgement = judge(report, 0.15)
    assert not judgement.passes and said in judgement.reason
    assert judgement.corrections == 0


def test_a_language_model_may_be_slower_than_quoting() -> None:
    assert judge(replace(BETTER, before=FIGURES | {"p95_ms": 1.0}), 0.15).passes


def test_what_is_no_better_is_kept_out_and_asks_for_no_corrections() -> None:
    judgement = judge(differing(rouge_l=Interval(0.01, -0.05, 0.07)), 0.15)
    assert judgement == (False, judgement.reason, 0)
    assert judgement.reason.startswith("It is not better by 0.02 at closeness")


def test_what_may_be_better_says_how_many_more_corrections_would_show_it() -> None:
    passes, reason, corrections = judge(differing(rouge_l=Interval(0.06, -0.02, 0.14)), 0.15)
    assert not passes
    # s = 0.16 / 3.92 * sqrt(50) = 0.2886; n = (2.8016 * 0.2886 / 0.04)^2 = 408.7, of which 50 are there; 15 % of what is added is held out
    assert corrections == 2394
    assert reason.endswith("About 2394 more approved corrections would settle it.")


@pytest.mark.parametrize(("pairs", "corrections"), [(4, 107), (19, 7)])
def test_bad_input_too_few_held_out_questions_never_pass_and_say_how_many_are_missing(pairs: int, corrections: int) -> None:
    judgement = judge(now(n=pairs + 3, unanswerable=3), 0.15)
    assert (judgement.passes, judgement.corrections) == (False, corrections)
    assert f"Only {pairs} held-out questions can be compared" in judgement.reason


def test_bad_input_held_out_questions_without_answers_say_so() -> None:
    judgement = judge(Report(FIGURES, FIGURES, {}), 0.2)
    assert (judgement.passes, judgement.corrections) == (False, 100)


def test_as_many_questions_as_are_asked_for_show_the_difference_four_times_out_of_five() -> None:
    rng, margin = np.random.default_rng(7), Bar().margin
    seen = rng.normal(0, 0.4, 60)
    seen += 0.3 - seen.mean()
    needed = questions_needed(interval(list(seen)), 60, margin)
    drawn: Any = rng.normal(0.3, stdev(seen), (100, needed))
    shown = [interval(list(one)).low > margin for one in drawn]
    assert 0.7 < sum(shown) / len(shown) < 0.9
