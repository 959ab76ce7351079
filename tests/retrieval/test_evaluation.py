"""Recall, MRR and nDCG are the numbers computed by hand."""

from __future__ import annotations

import math

import pytest

from core.domain import Hit, Passage
from retrieval.evaluation import ranking_figures, relevance


def hits(*names: str) -> list[Hit]:
    return [Hit(Passage(name, name.split("#")[0], "t", "x"), 0.5) for name in names]


def test_a_hit_is_relevant_by_passage_or_document() -> None:
    assert relevance(hits("a#1", "b#1", "c#1"), frozenset({"b", "c#1"})) == [False, True, True]


def test_a_document_counts_once() -> None:
    assert relevance(hits("a#1", "a#2", "b#1"), frozenset({"a", "b"})) == [True, False, True]


def test_nothing_found_or_nothing_relevant_is_no_flag_set() -> None:
    assert relevance([], frozenset({"a"})) == []
    assert relevance(hits("a"), frozenset()) == [False]


def test_one_relevant_passage_at_rank_three() -> None:
    figures = ranking_figures([([False, False, True], 1)])
    assert figures == pytest.approx({"recall@1": 0, "recall@5": 1, "recall@10": 1, "mrr@10": 1 / 3, "ndcg@10": 0.5})


def test_two_relevant_passages_at_ranks_one_and_four() -> None:
    figures = ranking_figures([([True, False, False, True], 2)])
    # gain 1/log2(2) + 1/log2(5) = 1 + 0.43068; ideal 1 + 1/log2(3) = 1.63093
    assert figures == pytest.approx({"recall@1": 1, "recall@5": 1, "recall@10": 1, "mrr@10": 1, "ndcg@10": 1.43068 / 1.63093}, abs=1e-5)


def test_figures_are_means_over_questions() -> None:
    figures = ranking_figures([([True], 1), ([False, True], 1), ([False] * 5 + [True], 1), ([], 1)])
    assert figures == pytest.approx(
        {"recall@1": 0.25, "recall@5": 0.5, "recall@10": 0.75, "mrr@10": (1 + 1 / 2 + 1 / 6) / 4,
         "ndcg@10": (1 + 1 / math.log2(3) + 1 / math.log2(7)) / 4}
    )  # fmt: skip


def test_recall_at_a_depth_counts_at_most_that_many_relevant_ones() -> None:
    figures = ranking_figures([([True] * 5 + [False] * 5, 12)])
    assert (figures["recall@1"], figures["recall@5"], figures["recall@10"]) == (1, 1, 0.5)


def test_what_lies_below_rank_ten_does_not_count() -> None:
    figures = ranking_figures([([False] * 10 + [True], 1)])
    assert set(figures.values()) == {0}


def test_no_question_gives_zeros() -> None:
    assert set(ranking_figures([]).values()) == {0}
