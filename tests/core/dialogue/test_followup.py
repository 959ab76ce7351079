"""A question that leans on the conversation is read with it; one that stands alone is not."""

from __future__ import annotations

import pytest

from core.dialogue.followup import in_context, leans_back, merge
from core.domain import Exchange, Hit, Passage, Retrieval


def found(index: str = "i", **scores: float) -> Retrieval:
    return Retrieval(tuple(Hit(Passage(name, "d", name, "text"), score) for name, score in scores.items()), index, "e")


@pytest.mark.parametrize(
    "question",
    [
        "and for students?",
        "But why is my card refused today?",
        "What about the yearly subscription plan?",
        "How long does it usually take you?",
        "Can I cancel those orders online?",
        "why",
        "Is this possible with my old phone?",
        "AND my second account?",
        "  so what now, my friend?",
    ],
)
def test_a_question_that_points_back_leans(question: str) -> None:
    assert leans_back(question)


@pytest.mark.parametrize(
    "question",
    [
        "How do I change my password?",
        "Where can I download my invoices?",
        "Can you ship orders to Norway?",
        "What items are sold in Android stores?",
    ],
)
def test_a_whole_question_does_not_lean(question: str) -> None:
    assert not leans_back(question)


def test_the_context_is_the_question_before() -> None:
    assert in_context("And how much?", (Exchange("a", "b"), Exchange("Can I upgrade?", "Yes."))) == "Can I upgrade?\nAnd how much?"


def test_a_confident_reading_stands_alone() -> None:
    alone = found(price=0.85)
    assert merge(alone, found(topic=0.99), confident=0.85) is alone


def test_both_readings_are_weighed_by_the_geometric_mean() -> None:
    merged = merge(found(price=0.36, other=0.16), found("j", topic=0.81, price=0.64), confident=0.85)
    # price: sqrt(0.64 * 0.36) = 0.48; topic is not among the hits for the words alone: sqrt(0.81 * 0.16) = 0.36
    assert {hit.passage.passage_id: hit.score for hit in merged.hits} == pytest.approx({"price": 0.48, "topic": 0.36})
    assert [hit.passage.passage_id for hit in merged.hits] == ["price", "topic"]
    assert merged.index_version == "j"


def test_a_question_whose_words_find_nothing_is_carried_by_its_context() -> None:
    merged = merge(found(), found(topic=0.8), confident=0.85)
    assert [hit.score for hit in merged.hits] == pytest.approx([0.2])  # sqrt(0.8 * 0.05)


def test_nothing_found_stays_nothing() -> None:
    assert merge(found(), found(), confident=0.85).hits == ()
