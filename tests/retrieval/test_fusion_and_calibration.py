"""Two rankings become one probability, fitted to the base by asking it its own questions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Passage
from retrieval import calibration
from retrieval.calibration import SHIPPED, Question, calibration_error, logistic_mode
from retrieval.faiss_index import FaissIndex
from retrieval.fusion import NOISE, Floats, kernel, log_odds, probability, row_support, sigmoid
from retrieval.lexical import LexicalIndex
from retrieval.ranking import Ranker
from retrieval.rows import own_questions, owners, row_texts
from tests.retrieval.simple import TOPICS, WordEmbedder, faq

COSINE = st.floats(-1, 1, width=32)
SHARE = st.floats(-0.5, 1.5)


@given(st.lists(COSINE, min_size=1, max_size=20))
def test_covariance_is_one_for_equal_vectors_and_falls_with_the_cosine(cosines: list[float]) -> None:
    values = kernel(np.sort(np.array([*cosines, 1.0])))
    assert values[-1] == 1
    assert bool(np.all(np.diff(values) >= 0))
    assert bool(np.all(values > 0))


def test_one_near_row_supports_by_its_covariance_over_one_plus_noise() -> None:
    assert row_support(np.array([1.0]), np.array([[1.0]])) == pytest.approx([1 / (1 + NOISE)])


def test_two_equal_rows_share_the_support_of_one_place() -> None:
    support = row_support(np.array([1.0, 1.0]), np.ones((2, 2)))
    assert support == pytest.approx([1 / (2 + NOISE)] * 2)


def test_rows_that_have_nothing_in_common_with_the_question_give_none() -> None:
    far = row_support(np.array([-1.0, 0.0]), np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert bool(np.all(np.abs(far) < 0.05))


@given(st.integers(1, 12), st.integers(0, 10_000))
def test_support_is_finite_even_when_rows_repeat(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 4))
    vectors = np.repeat(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 3, axis=0)
    support = row_support(vectors @ vectors[0], vectors @ vectors.T)
    assert bool(np.isfinite(support).all())
    assert -0.5 < support.sum() < 2


@given(st.lists(SHARE, min_size=2, max_size=20))
def test_log_odds_rise_with_support_and_stay_finite(support: list[float]) -> None:
    values = log_odds(np.sort(np.array(support)))
    assert bool(np.all(np.diff(values) >= 0))
    assert float(np.abs(values).max()) < 4
    assert log_odds(np.array([0.5])) == pytest.approx([0])


@given(st.lists(st.floats(-1e300, 1e300), min_size=1))
def test_the_logistic_function_stays_within_zero_and_one_and_is_odd_around_a_half(values: list[float]) -> None:
    chances = sigmoid(np.array(values))
    assert bool(np.all((chances >= 0) & (chances <= 1)))
    assert np.allclose(chances + sigmoid(-np.array(values)), 1)


@given(SHARE, SHARE, st.floats(0, 1), st.floats(0, 1))
def test_more_support_or_more_shared_words_never_lower_the_probability(low: float, high: float, few: float, many: float) -> None:
    low, high, few, many = min(low, high), max(low, high), min(few, many), max(few, many)
    chances = probability(SHIPPED, np.array([low, high, low, high]), np.array([few, few, many, many]))
    assert chances[0] <= chances[1] <= chances[3]
    assert chances[0] <= chances[2] <= chances[3]
    assert bool(np.all((chances > 0) & (chances < 1)))


def test_the_probability_of_a_known_case_is_the_one_computed_by_hand() -> None:
    # log-odds of support 0.5 are 0; (0 - -1.9) / 0.5 = 3.8; -2.3 + 1.3 * 3.8 + 0.9 * 0.5 = 3.09; 1 / (1 + e^-3.09) = 0.9565
    known = calibration.Calibration(null_mean=-1.9, null_deviation=0.5, intercept=-2.3, support_weight=1.3, lexical_weight=0.9)
    assert probability(known, np.array([0.5]), np.array([0.5])) == pytest.approx([0.9565], abs=1e-4)


def test_calibration_error_is_the_mean_gap_of_the_bins() -> None:
    chances, right = np.array([0.95, 0.95, 0.15, 0.15]), np.array([1.0, 0.0, 0.0, 0.0])
    assert calibration_error(chances, right) == pytest.approx((2 * 0.45 + 2 * 0.15) / 4)
    assert calibration_error(chances, right, np.array([1.0, 0.0, 1.0, 0.0])) == pytest.approx((0.05 + 0.15) / 2)
    assert calibration_error(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == 0
    assert calibration_error(np.zeros(0), np.zeros(0)) == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_calibration_error_lies_between_zero_and_one(pairs: list[tuple[float, bool]]) -> None:
    chances, right = np.array(pairs, float).T
    assert 0 <= calibration_error(chances, right) <= 1 + 1e-12


def test_without_observations_the_weights_stay_the_prior() -> None:
    prior = np.array([-2.0, 1.0, 0.5])
    assert logistic_mode(np.zeros((0, 3)), np.zeros(0), np.zeros(0), prior) == pytest.approx(prior)


def test_many_observations_overrule_the_prior_of_intercept_and_support() -> None:
    rng = np.random.default_rng(3)
    columns = np.stack([np.ones(40_000), rng.normal(size=40_000), np.zeros(40_000)], axis=1)
    labels = (rng.random(40_000) < sigmoid(columns @ np.array([-1.0, 2.0, 0.0]))).astype(float)
    found = logistic_mode(columns, labels, np.ones(40_000), np.array([0.0, 0.0, 0.9]))
    assert found == pytest.approx([-1.0, 2.0, 0.9], abs=0.06)


@given(st.integers(0, 1000), st.booleans())
def test_the_mode_is_found_where_all_labels_agree(seed: int, label: bool) -> None:
    columns: Floats = np.random.default_rng(seed).normal(size=(50, 3))
    found = logistic_mode(columns, np.full(50, float(label)), np.ones(50), np.array([-2.3, 1.3, 0.9]))
    assert bool(np.isfinite(found).all())


def fitted(topics: tuple[str, ...]) -> tuple[calibration.Calibration, list[Question], list[int]]:
    passages = [faq(topic) for topic in topics]
    texts = [text for passage in passages for text in row_texts(passage)]
    vectors, owner_of = WordEmbedder().encode(texts), owners(passages)
    ranker = Ranker(FaissIndex.build(vectors), LexicalIndex.build(texts), owner_of)
    centroids = np.stack([vectors[owner_of == n].mean(axis=0) for n in range(len(passages))])
    questions, played = own_questions(passages, centroids), []
    return calibration.fit(questions, lambda rows: vectors[rows], ranker, played.append), questions, played


def test_a_base_is_asked_each_of_its_questions_and_the_numbers_are_usable() -> None:
    found, questions, played = fitted(TOPICS)
    assert (found.questions, len(played)) == (len(questions), len(questions)) == (2 * len(TOPICS), 2 * len(TOPICS))
    assert found.null_deviation > 0
    assert found.error is not None
    assert 0 <= found.error <= 1
    assert found.support_weight > 0


@pytest.mark.parametrize("count", [1, 2])
def test_a_tiny_base_stays_near_the_shipped_calibration(count: int) -> None:
    found, _, _ = fitted(TOPICS[:count])
    assert found.intercept == pytest.approx(SHIPPED.intercept, abs=0.5)
    assert found.support_weight == pytest.approx(SHIPPED.support_weight, abs=0.5)
    assert found.null_deviation > 0


def test_a_base_without_any_question_gets_the_shipped_weights() -> None:
    ranker = Ranker(FaissIndex.build(np.eye(4, dtype=np.float32)), LexicalIndex.build(["a"] * 4), np.arange(4))
    assert calibration.fit([], lambda rows: np.eye(4, dtype=np.float32)[rows], ranker, lambda done: None) == SHIPPED


def test_a_base_of_one_passage_in_many_words_does_not_take_every_question_for_its_own() -> None:
    passage = Passage("1", "1", "How does the refund work?", "By card.", tuple(f"refund {word}" for word in TOPICS * 3))
    texts = row_texts(passage)
    vectors, owner_of = WordEmbedder().encode(texts), owners([passage])
    ranker = Ranker(FaissIndex.build(vectors), LexicalIndex.build(texts), owner_of)
    found = calibration.fit(own_questions([passage], vectors[:1].copy()), lambda rows: vectors[rows], ranker, lambda done: None)
    ((_, chance),) = ranker.candidates(WordEmbedder().encode(["zebras eat grass"])[0], "zebras eat grass").ranked(found)
    assert found.null_deviation == pytest.approx(SHIPPED.null_deviation)
    assert chance < 0.5


def test_an_unanswerable_question_hides_its_passage_and_the_nearest_but_never_all() -> None:
    for count in (2, 5, 10):
        _, questions, _ = fitted(TOPICS[:count])
        for question in questions:
            assert question.row in question.nearby_rows
            assert len(question.nearby_rows) < 3 * count


def test_a_large_base_is_asked_a_spread_of_its_questions() -> None:
    passages = [faq(f"topic{n}") for n in range(2500)]
    questions = own_questions(passages, np.tile(np.float32([1, 0]), (2500, 1)))
    assert 1000 < len(questions) <= calibration.MAX_QUESTIONS
    assert min(q.ordinal for q in questions) < 5
    assert max(q.ordinal for q in questions) > 2490


def test_a_base_takes_the_kernel_with_the_least_log_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    losses: dict[float, float] = {}
    honest = calibration._fitted

    def spied(game: calibration.Game, kernel_width: float) -> tuple[calibration.Calibration, float]:
        found, losses[kernel_width] = honest(game, kernel_width)
        return found, losses[kernel_width]

    monkeypatch.setattr(calibration, "_fitted", spied)
    found, _, _ = fitted(TOPICS)
    assert set(losses) == set(calibration.KERNEL_WIDTHS)
    assert found.kernel_width == min(losses, key=lambda width: losses[width])


def test_a_wider_kernel_lets_far_rows_speak() -> None:
    near, far = (row_support(np.array([0.5]), np.array([[1.0]]), width)[0] for width in (2.0, 1.25))
    assert near == pytest.approx(np.exp(-2.0) / (1 + NOISE))
    assert far == pytest.approx(np.exp(-1.25) / (1 + NOISE))
