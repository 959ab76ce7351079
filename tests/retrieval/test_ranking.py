"""Near rows and rows with the question's words become candidates, one per passage."""

from __future__ import annotations

import numpy as np
import pytest

from core.domain import Passage
from core.ports import Vectors
from retrieval.calibration import SHIPPED
from retrieval.faiss_index import FaissIndex
from retrieval.lexical import LexicalIndex
from retrieval.ranking import NEIGHBOURS, Candidates, Ranker
from retrieval.rows import owners, row_texts

# three passages with two rows each, along three directions
VECTORS: Vectors = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0.8, 0.6], [0, 0, 1], [0.6, 0, 0.8]], np.float32)
TEXTS = ["pay card", "payment by visa", "ship norway", "delivery abroad", "error e1042", "screen stays black"]
OWNERS = np.array([0, 0, 1, 1, 2, 2])


@pytest.fixture
def ranker() -> Ranker:
    return Ranker(FaissIndex.build(VECTORS), LexicalIndex.build(TEXTS), OWNERS)


def best(candidates: Candidates) -> int:
    return candidates.ranked(SHIPPED)[0][0]


def test_the_passage_with_the_nearest_rows_is_first(ranker: Ranker) -> None:
    for row, passage in enumerate(OWNERS):
        assert best(ranker.candidates(VECTORS[row], "")) == passage


def test_each_passage_is_one_candidate_and_the_order_is_that_of_probability(ranker: Ranker) -> None:
    candidates = ranker.candidates(VECTORS[1], "pay visa")
    ranked = candidates.ranked(SHIPPED)
    assert sorted(ordinal for ordinal, _ in ranked) == [0, 1, 2]
    assert [chance for _, chance in ranked] == sorted((chance for _, chance in ranked), reverse=True)
    assert all(0 < chance < 1 for _, chance in ranked)


def test_a_shared_word_raises_the_probability(ranker: Ranker) -> None:
    between = np.float32([0.5, 0.5, 0.7071])
    plain = dict(ranker.candidates(between, "").ranked(SHIPPED))
    worded = dict(ranker.candidates(between, "norway").ranked(SHIPPED))
    assert worded[1] > plain[1]
    assert worded[0] == pytest.approx(plain[0])


def test_the_lexical_share_of_a_passage_is_that_of_its_best_row(ranker: Ranker) -> None:
    candidates = ranker.candidates(VECTORS[0], "ship norway delivery")
    rows = LexicalIndex.build(TEXTS).scores("ship norway delivery")
    share = candidates.lexical[candidates.ordinals.tolist().index(1)]
    assert share == pytest.approx(rows[2:4].max())


def test_excluded_rows_are_as_if_they_were_not_there(ranker: Ranker) -> None:
    hidden = np.array([0, 1])
    candidates = ranker.candidates(VECTORS[0], "pay card visa", hidden)
    rest = Ranker(FaissIndex.build(VECTORS[2:]), LexicalIndex.build(TEXTS), OWNERS[2:])
    assert sorted(candidates.ordinals.tolist()) == [1, 2]
    assert candidates.lexical.tolist() == [0, 0]
    assert candidates.support == pytest.approx(rest.candidates(VECTORS[0], "").support)


def test_with_every_row_excluded_there_is_no_candidate(ranker: Ranker) -> None:
    assert ranker.candidates(VECTORS[0], "pay", np.arange(6)).ranked(SHIPPED) == []


def test_a_row_with_the_rare_word_is_a_candidate_however_far_away_it_is() -> None:
    rng = np.random.default_rng(5)
    count = NEIGHBOURS * 3
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    vectors[:, 0] = 5
    vectors[-1] = [-5, 0, 0, 0, 0, 0, 0, 0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ranker = Ranker(
        FaissIndex.build(vectors), LexicalIndex.build([f"text {n}" for n in range(count - 1)] + ["error e1042"]), np.arange(count)
    )
    assert count - 1 in ranker.candidates(vectors[0], "what is e1042").ordinals
    assert count - 1 not in ranker.candidates(vectors[0], "what is text").ordinals


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_input_63_a_vector_that_is_not_finite_has_no_hit_even_where_words_are_shared(ranker: Ranker, bad: float) -> None:
    assert ranker.candidates(np.full(3, bad, np.float32), "pay card norway").ranked(SHIPPED) == []


def test_a_zero_vector_has_finite_chances(ranker: Ranker) -> None:
    ranked = ranker.candidates(np.zeros(3, np.float32), "norway").ranked(SHIPPED)
    assert np.isfinite([chance for _, chance in ranked]).all()
    assert ranked[0][0] == 1


def test_one_row_is_enough() -> None:
    ranker = Ranker(FaissIndex.build(VECTORS[:1]), LexicalIndex.build(["pay card"]), np.array([0]))
    ((ordinal, chance),) = ranker.candidates(VECTORS[0], "pay").ranked(SHIPPED)
    assert ordinal == 0
    assert chance > 0.5


def test_a_faq_row_is_indexed_by_question_alternatives_and_bare_answer_and_a_section_below_its_heading() -> None:
    row = Passage("1", "1", "How?", "So.", ("What way?",))
    section = Passage("d#a", "d", "Guide > A", "Click.", curated=False)
    assert row_texts(row) == ["How?", "What way?", "So."]
    assert row_texts(section) == ["Guide > A", "Guide > A\nClick."]
    assert owners([row, section]).tolist() == [0, 0, 0, 1, 1]
