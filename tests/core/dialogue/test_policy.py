"""The decision follows from the scores of the two best hits, and from whether the best may be given word for word."""

from __future__ import annotations

import pytest

from core.dialogue.policy import Thresholds, candidates, decide
from core.domain import Decision, Hit, Passage, Reason

DEFAULT = Thresholds()


def hits(*scores: float, curated: bool = True) -> tuple[Hit, ...]:
    return tuple(Hit(Passage(f"p-{n}", "d", f"title {n}", "text", curated=curated), score) for n, score in enumerate(scores))


@pytest.mark.parametrize(
    ("scores", "curated", "decision", "reason"),
    [
        ((0.85,), True, Decision.DIRECT, Reason.CONFIDENT),
        ((0.85,), False, Decision.ANSWER, Reason.COMPOSED),
        ((0.8499, 0.8), True, Decision.ANSWER, Reason.COMPOSED),
        ((0.69,), True, Decision.ANSWER, Reason.COMPOSED),
        ((0.6499,), True, Decision.CLARIFY, Reason.CLOSE_CANDIDATES),
        ((0.25, 0.20), True, Decision.CLARIFY, Reason.CLOSE_CANDIDATES),
        ((0.24, 0.20, 0.20), True, Decision.HANDOFF, Reason.LOW_CONFIDENCE),
        ((), True, Decision.HANDOFF, Reason.LOW_CONFIDENCE),
    ],
)
def test_a_decision_changes_exactly_at_its_threshold(
    scores: tuple[float, ...], curated: bool, decision: Decision, reason: Reason
) -> None:  # fmt: skip
    assert decide(hits(*scores, curated=curated), DEFAULT) == (decision, reason)


def test_nothing_is_asked_back_when_no_hit_is_worth_offering() -> None:
    assert decide(hits(0.3, 0.3), Thresholds(candidate=0.4)) == (Decision.HANDOFF, Reason.LOW_CONFIDENCE)


def test_at_most_three_meanings_are_offered_best_first_and_none_too_unlikely() -> None:
    assert [hit.score for hit in candidates(hits(0.4, 0.3, 0.2, 0.19), DEFAULT)] == [0.4, 0.3, 0.2]
    assert [hit.score for hit in candidates(hits(0.4, 0.149), DEFAULT)] == [0.4]


def test_two_passages_of_one_title_are_offered_once() -> None:
    twice = (Hit(Passage("a", "d", "Pay", "x"), 0.4), Hit(Passage("b", "d", "Pay", "y"), 0.3), *hits(0.2))
    assert [hit.score for hit in candidates(twice, DEFAULT)] == [0.4, 0.2]


def test_other_thresholds_have_another_version() -> None:
    assert Thresholds().version == DEFAULT.version
    assert len({Thresholds().version, Thresholds(direct=0.9).version, Thresholds(candidate=0.2).version}) == 3
