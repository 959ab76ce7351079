"""Figures of written answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Passage
from core.training.evaluation import Written, compared, figures, interval, rouge_l

RIGHT, WRONG = Passage("p1", "d1", "Days?", "It takes three days."), Passage("p2", "d2", "Price?", "It costs five euros.")
ONE = Written(
    "How long?", "It takes three days.", "It takes three days. [1]", (RIGHT, WRONG), frozenset({"d1"}), grounded=True, seconds=1.0
)


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("police killed the gunman", "police kill the gunman", 0.75),  # the example of Lin 2004
        ("police killed the gunman", "the gunman kill police", 0.5),
        ("a b c", "a b c", 1.0),
        ("a b c", "x y", 0.0),
        ("a", "", 0.0),
    ],
)
def test_rouge_l_is_that_of_the_paper(reference: str, text: str, expected: float) -> None:
    assert rouge_l(reference, text) == expected


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.lists(st.sampled_from("abcd"), max_size=12))
def test_rouge_l_is_symmetric_and_one_only_for_equal_texts(one: list[str], other: list[str]) -> None:
    there, back = rouge_l(" ".join(one), " ".join(other)), rouge_l(" ".join(other), " ".join(one))
    assert there == back and 0 <= there <= 1
    assert (there == 1) == (one == other and bool(one))


@pytest.mark.parametrize(
    ("text", "is_right"),
    [("It does. [1]", True), ("It does.", False), ("It does. [2]", False), ("It does. [1] [2]", False), ("It does. [7]", False)],
)
def test_a_citation_is_right_when_it_names_a_passage_that_answers_and_no_other(text: str, is_right: bool) -> None:
    assert replace(ONE, text=text).cites_right is is_right


def test_figures_of_a_few_answers() -> None:
    silent = replace(ONE, text="I don't know.", grounded=False, seconds=3.0)
    rightly = replace(silent, relevant=frozenset(), reference="")
    found = figures([ONE, silent, rightly, replace(ONE, relevant=frozenset(), text="Three. [1]", reference="", grounded=False)])
    assert (found["n"], found["unanswerable"]) == (4, 2)
    assert (found["citation"], found["groundedness"]) == (1.0, 0.5)
    assert (found["abstention"], found["abstention_precision"], found["abstention_recall"]) == (0.5, 0.5, 0.5)
    assert (found["rouge_l"], found["p50_ms"], found["p95_ms"]) == (0.5, 2000.0, 3000.0)
    assert found["bleu"] is not None and 0 < found["chrf"] < 1


def test_how_high_the_right_passage_stands_is_counted_where_there_is_one() -> None:
    second, nowhere = replace(ONE, passages=(WRONG, RIGHT)), replace(ONE, passages=(WRONG,))
    found = figures([ONE, second, nowhere, replace(ONE, relevant=frozenset())])
    assert [found[name] for name in ("recall@1", "recall@3", "mrr")] == pytest.approx([1 / 3, 2 / 3, 0.5])
    assert figures([replace(ONE, relevant=frozenset())])["mrr"] is None


def test_what_cannot_be_counted_is_none() -> None:
    found = figures([replace(ONE, text="I don't know.", reference="")])
    assert [found[name] for name in ("rouge_l", "bleu", "chrf", "citation", "groundedness", "abstention_recall")] == [None] * 6


def test_a_model_that_says_nothing_is_not_better_grounded() -> None:
    found = compared([ONE] * 20, [replace(ONE, text="I don't know.", grounded=False)] * 20)
    assert {name: one.difference for name, one in found.items()} == {
        "rouge_l": -1.0, "citation": -1.0, "groundedness": -1.0, "right_to_abstain": -1.0,
    }  # fmt: skip


def test_an_interval_holds_the_truth_and_narrows_with_more_questions() -> None:
    few, many = interval([0.0, 1.0] * 10), interval([0.0, 1.0] * 1000)
    assert few.low < 0.5 < few.high and many.low < 0.5 < many.high
    assert many.high - many.low < (few.high - few.low) / 5
    assert interval([0.25]) == (0.25, 0.25, 0.25)


def test_wordings_of_one_answer_are_not_as_many_observations() -> None:
    differences = [0.5] * 8 + [-0.2] * 4 + [0.3] * 8  # five rows of the FAQ, each asked in four ways
    rows = [number // 4 for number in range(20)]
    each, whole = interval(differences), interval(differences, rows)
    assert (whole.low < each.low, whole.high >= each.high, whole.difference) == (True, True, each.difference)
    assert interval(differences, range(20)) == each
    assert interval(differences, [0] * 20) == each
