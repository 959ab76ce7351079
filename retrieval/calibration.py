"""Fits a snapshot's calibration by playing its own questions against it.

Two games, both without any labelled traffic:

* *answerable*: each of the base's questions (titles and alternatives of curated passages) is asked as if that row were not there.
  The right passage is known, so this shows what support correct and wrong answers get.
* *unanswerable*: the same question is asked as if its passage, and the few passages nearest to it, were not there. Nothing left
  can answer it, so this shows what support looks like when the bot must abstain.

The weights are the mode of a logistic regression under a Gaussian prior at the shipped weights (Bishop 2006, section 4.5.1), so a
base with ten alternatives moves a little and one with thousands moves freely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from core.ports import Vectors
from retrieval.fusion import Calibration, Floats, features, log_odds, sigmoid
from retrieval.ranking import Candidates, Ranker, Rows

# Fitted by tests/bench/fit_calibration.py on 26 knowledge bases drawn from three public sets; its output is in ARCHITECTURE.md.
SHIPPED = Calibration(null_mean=-1.9, null_deviation=0.5, intercept=-2.15, support_weight=0.86, lexical_weight=1.05)
# No width suits every base: from 1.25 instead of 2.0 one of four public sets gains 0.016 MCC and two lose 0.007 and 0.010.
KERNEL_WIDTHS = (1.25, 1.5, 2.0)
MAX_QUESTIONS = 2000  # 2,000 questions of each game take about 5 s and move the weights by less than their error
NEAR_PASSAGES = 3  # hidden with the right one: a real unknown topic lies a little outside, not exactly between known ones
ABSENT_SHARE = 0.35  # of unanswerable questions in the fit; support traffic has about this many
PRIOR_PRECISION = np.array([30.0, 30.0, 1000.0])  # the lexical weight stays near the shipped one: alternatives share words unlike customers
_PRIOR_NULL_QUESTIONS = 20  # the shipped null counts like this many questions


@dataclass(frozen=True, slots=True)
class Question:
    """One of the base's own questions: its row, the rows of its passage, and the rows to hide so that nothing answers it."""

    row: int
    text: str
    ordinal: int
    nearby_rows: Rows
    has_siblings: bool  # other questions of the passage remain when this one is hidden


@dataclass(frozen=True, slots=True)
class Top:
    """The best candidate of each played question: arrays of one length."""

    support: Floats
    lexical: Floats
    right: Floats


class Game(NamedTuple):
    """What became of the questions that the base can answer, and of those that it cannot."""

    answerable: Top
    unanswerable: Top


_Best: TypeAlias = tuple[float, float, float]  # support, lexical share, right (1) or not (0)


def fit(questions: list[Question], vectors: Callable[[Rows], Vectors], ranker: Ranker, progress: Callable[[int], None]) -> Calibration:
    """Return the calibration for a base; `progress` is called with the number of questions just played.

    A base with alternatives chooses its kernel: the one whose chances explain the played questions best (least log loss).
    """
    can_choose = any(question.has_siblings for question in questions)
    rankers = [ranker.with_kernel(width) for width in KERNEL_WIDTHS] if can_choose else [ranker]
    games = play(questions, vectors, rankers, progress)
    fitted = [_fitted(game, ranker.kernel_width) for game, ranker in zip(games, rankers, strict=True)]
    return min(fitted, key=lambda one: one[1])[0]


def _fitted(game: Game, kernel_width: float) -> tuple[Calibration, float]:
    """Return the calibration for one kernel, and its mean log loss in nats."""
    null_mean, null_deviation = null_of(game.unanswerable)
    if not len(game.answerable.right):
        return replace(SHIPPED, null_mean=null_mean, null_deviation=null_deviation, kernel_width=kernel_width), 0.0
    columns = np.concatenate([features(top.support, top.lexical, null_mean, null_deviation) for top in game])
    labels = np.concatenate([top.right for top in game])
    sample_weights = _weights(len(game.answerable.right), len(game.unanswerable.right))
    prior = np.array([SHIPPED.intercept, SHIPPED.support_weight, SHIPPED.lexical_weight])
    weights = logistic_mode(columns, labels, sample_weights, prior)
    chances = sigmoid(columns @ weights)
    error = round(calibration_error(chances, labels, sample_weights), 4)
    intercept, support, lexical = map(float, weights)
    count = len(game.answerable.right)
    fitted = Calibration(null_mean, null_deviation, intercept, support, lexical, count, error, kernel_width)
    return fitted, _log_loss(chances, labels, sample_weights)


def _log_loss(chances: Floats, labels: Floats, sample_weights: Floats) -> float:
    said = np.where(labels == 1, chances, 1 - chances)
    return float(-(sample_weights * np.log(np.maximum(said, 1e-12))).sum() / sample_weights.sum())


def calibration_error(chances: Floats, right: Floats, sample_weights: Floats | None = None, bins: int = 10) -> float:
    """Return the expected calibration error: mean |accuracy - confidence| over equal-width bins (Guo et al. 2017, eq. 3)."""
    weights = np.ones(len(chances)) if sample_weights is None else sample_weights
    bin_of = np.minimum((chances * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, weights * (right - chances), bins)
    return float(np.abs(gaps).sum() / max(weights.sum(), 1e-9))


def logistic_mode(columns: Floats, labels: Floats, sample_weights: Floats, prior: Floats, precision: Floats = PRIOR_PRECISION) -> Floats:
    """Return the posterior mode of logistic-regression weights by Newton's method (IRLS), shape (columns.shape[1],).

    The prior is Gaussian with mean `prior` and the diagonal `precision`.
    """
    weights = prior.copy()
    for _ in range(50):
        chances = sigmoid(columns @ weights)
        gradient = columns.T @ (sample_weights * (chances - labels)) + precision * (weights - prior)
        curvature = sample_weights * chances * (1 - chances)
        step = np.linalg.solve((columns * curvature[:, None]).T @ columns + np.diag(precision), gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def play(
    questions: list[Question], vectors: Callable[[Rows], Vectors], rankers: list[Ranker], progress: Callable[[int], None]
) -> list[Game]:
    """Return both games as each ranker plays them."""
    answerable: list[list[_Best]] = [[] for _ in rankers]
    unanswerable: list[list[_Best]] = [[] for _ in rankers]
    for question in questions:
        vector = vectors(np.array([question.row]))[0]
        for ranker, known, unknown in zip(rankers, answerable, unanswerable, strict=True):
            if question.has_siblings:
                own = np.array([question.row])
                known.append(_best(ranker.candidates(vector, question.text, own), question.ordinal))
            others = ranker.candidates(vector, question.text, question.nearby_rows)
            if len(others.ordinals):  # in a base of one passage nothing is left, which says nothing about what is out of its reach
                unknown.append(_best(others, None))
        progress(1)
    return [Game(_top(known), _top(unknown)) for known, unknown in zip(answerable, unanswerable, strict=True)]


def null_of(unanswerable: Top) -> tuple[float, float]:
    """Return mean and deviation of the log-odds of support, drawn towards the shipped ones while there are few questions."""
    values = log_odds(unanswerable.support)
    share = len(values) / (len(values) + _PRIOR_NULL_QUESTIONS)
    mean = float(values.mean()) if len(values) else 0.0
    deviation = float(values.std()) if len(values) else 0.0
    return share * mean + (1 - share) * SHIPPED.null_mean, share * deviation + (1 - share) * SHIPPED.null_deviation


def _best(candidates: Candidates, right: int | None) -> _Best:
    if not len(candidates.ordinals):
        return 0.0, 0.0, 0.0
    best = int(np.argmax(candidates.support))
    return candidates.support[best], candidates.lexical[best], float(candidates.ordinals[best] == right)


def _top(rows: list[_Best]) -> Top:
    return Top(*np.array(rows, np.float64).reshape(-1, 3).T)


def _weights(answerable: int, unanswerable: int) -> Floats:
    absent = answerable * ABSENT_SHARE / (1 - ABSENT_SHARE) / max(unanswerable, 1)
    return np.concatenate([np.ones(answerable), np.full(unanswerable, absent)])
