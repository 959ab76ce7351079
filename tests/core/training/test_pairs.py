"""Pairs of a right and a wrong answer, answers that were liked or not, and data that no preference can be learnt from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from core import prompting
from core.corrections import Cause
from core.domain import Passage
from core.errors import TrainingError
from core.examples import Example
from core.training import pairs
from core.training.citing import recited
from core.training.dataset import NO_LONGER_KEPT, NOT_ALLOWED, OUTDATED
from core.training.parts import Parts
from tests.core.training.test_dataset import EXAMPLE, KEPT, PARCEL, REFUND, built

CORRECTED = replace(EXAMPLE, rejected="5 days. [1]", rejected_cites=("parcel",), rejected_by_model=True)
JUDGED = Example(
    "t1", "How long does a parcel take?", "Refunds take 14 days. [1] A parcel takes 3 days. [2]", "feedback", "web", own_words=True,
    passage_id="refund", cites=("refund", "parcel"), shown=("parcel", "refund"), liked=True,
)  # fmt: skip


def test_marks_name_the_same_passages_wherever_these_stand() -> None:
    assert recited("One. [1] Two. [2]", ("refund", "parcel"), (PARCEL, REFUND)) == "One. [2] Two. [1]"
    assert recited("One. [1] Two. [7]", ("gone",), (PARCEL,)) == "One. Two."


async def test_a_pair_is_the_corrected_answer_and_what_the_model_said_on_the_prompt_of_serving() -> None:
    (row,) = pairs.paired(await built(replace(CORRECTED, rejected_cites=("refund",), rejected="Dear ann@example.com: 14 days. [1]"))).rows
    assert row["messages"][-1]["content"] == "3 days. [1]"
    assert row["meta"]["rejected"] == "Dear [email]: 14 days. [2]"  # as it counts in this prompt
    assert "[2] How long does a refund take?" in row["messages"][1]["content"]


async def test_what_should_not_have_been_answered_is_preferred_silent() -> None:
    (row,) = pairs.paired(await built(replace(CORRECTED, answer="", passage_id="", cause=Cause.SHOULD_HAVE_ABSTAINED))).rows
    assert (row["messages"][-1]["content"], row["meta"]["rejected"]) == (prompting.ABSTENTION, "5 days. [1]")


async def test_bad_input_what_is_no_pair_is_left_out_and_counted() -> None:
    found = await built(
        CORRECTED,
        replace(CORRECTED, question="And a PARCEL?", rejected="３ DAYS. [1]"),
        replace(CORRECTED, question="How many days is a parcel?", rejected="5 days.", rejected_cites=(), rejected_by_model=False),
        replace(CORRECTED, question="A parcel, how long?", rejected=""),
        replace(CORRECTED, question="Theirs: a parcel?", own_words=True),
    )
    paired = pairs.paired(found)
    assert [row["meta"]["rejected"] for row in paired.rows] == ["5 days. [1]"]
    assert paired.left_out == {pairs.SAME: 1, pairs.QUOTED: 1, pairs.NOT_SAID: 1, NOT_ALLOWED: 1}


def test_the_same_words_from_another_passage_are_not_the_same_answer() -> None:
    assert pairs.says_the_same("It takes 3 days. [1]", "it takes  3 days.[1] [1]")
    assert not pairs.says_the_same("It takes 3 days. [1]", "It takes 3 days. [2]")


async def test_a_judged_answer_stands_on_the_passages_that_it_was_written_from_as_they_are_kept_now() -> None:
    (row,) = (await built(JUDGED)).rows
    assert "[1] How long does a parcel take?" in row["messages"][1]["content"]
    assert "[2] How long does a refund take?" in row["messages"][1]["content"]
    assert "[3]" not in row["messages"][1]["content"]
    assert row["messages"][-1]["content"] == "Refunds take 14 days. [2] A parcel takes 3 days. [1]"
    assert (row["meta"]["liked"], row["meta"]["group"], row["meta"]["source"]) == (True, "refund", "feedback")


@pytest.mark.parametrize(
    ("changed", "kept", "left_out"),
    [
        ({}, {"parcel": replace(PARCEL, text="A parcel takes 4 days.")}, OUTDATED),
        ({"liked": False, "answer": "Parcels take a moon. [2]"}, {}, ""),  # nothing has to back what was disliked
        ({"shown": ("refund",)}, {}, OUTDATED),  # a source that is not in the prompt
        ({"passage_id": "gone", "cites": ("gone",), "shown": ("gone",)}, {}, NO_LONGER_KEPT),
        ({"origin": "slack"}, {}, NOT_ALLOWED),
        ({"origin": "discord", "liked": False}, {}, NOT_ALLOWED),
    ],
)
async def test_bad_input_judged_answers_that_may_not_be_used_or_say_nothing_any_more(
    changed: dict[str, Any], kept: dict[str, Passage], left_out: str
) -> None:
    found = await built(replace(JUDGED, **changed), kept=KEPT | kept)
    assert found.left_out == ({left_out: 1} if left_out else {})
    allowed = await built(replace(JUDGED, **changed), kept=KEPT | kept, allowed=frozenset({"slack", "discord"}))
    assert len(allowed.rows) == (left_out in ("", NOT_ALLOWED))


async def test_a_reviewed_answer_keeps_the_marks_that_the_model_wrote() -> None:
    written = replace(
        JUDGED, source="review", liked=None, shown=(), passage_id="parcel", cites=("parcel",), answer="A parcel takes 3 days. [1]"
    )
    (row,) = (await built(written)).rows
    assert row["messages"][-1]["content"] == "A parcel takes 3 days. [1]"
    (quoted,) = (await built(replace(written, cites=(), answer="A parcel takes 3 days."))).rows
    assert quoted["messages"][-1]["content"] == "A parcel takes 3 days. [1]"


def some(liked: int, disliked: int) -> tuple[dict[str, Any], ...]:
    return tuple({"meta": {"liked": side}} for side in (*[True] * liked, *[False] * disliked))


def test_bad_input_too_few_pairs_are_refused_with_what_to_do() -> None:
    with pytest.raises(TrainingError, match=r"0 pairs to learn from .* approve more, or .*spin.* \(3 left out: what was wrong was quoted"):
        pairs.refuse_few(Parts((), (), Counter({pairs.QUOTED: 3})))
    pairs.refuse_few(Parts(some(8, 0), some(1, 0), Counter()))


@pytest.mark.parametrize(
    ("train", "held_out", "told"),
    [
        ((9, 0), (2, 1), r"All 9 judged answers are 👍: .* Wait until some are 👎, or .*dpo"),
        ((0, 9), (2, 1), r"All 9 judged answers are 👎: .* Wait until some are 👍"),
        ((0, 0), (0, 0), r"There are no thumbs"),
        ((3, 2), (1, 1), r"There are 3 👍 and 2 👎 to learn from"),
        ((9, 9), (3, 0), r"3 👍 and 0 👎 to judge by"),
    ],
)
def test_bad_input_one_sided_thumbs_are_refused_with_what_to_do(train: tuple[int, int], held_out: tuple[int, int], told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        pairs.refuse_one_sided(Parts(some(*train), some(*held_out), Counter()))


@pytest.mark.parametrize(("liked", "disliked"), [(1, 1), (9, 8), (100, 7), (7, 100)])
def test_both_sides_weigh_about_the_same(liked: int, disliked: int) -> None:
    counts, counts_not = pairs.weights(liked, disliked)
    assert 1 - 1e-9 <= counts * liked / (counts_not * disliked) <= 4 / 3 + 1e-9
    assert min(counts, counts_not) == 1
