"""Two rankings into one probability that means the same in every knowledge base.

Dense side. The rows nearest to a question (its own and other passages' questions, alternatives and bodies) explain it together:
their cosines go through a Gaussian-process regression (Rasmussen and Williams 2006, eq. 2.25) whose targets say which passage
each row belongs to. A passage's *support* is its share of the posterior mean: near 1 when close rows agree on the passage, split
when two passages compete, near 0 when nothing is close. Against the nearest row's cosine, on four public routing sets, the best
possible MCC rises by 0.02 to 0.08 (ARCHITECTURE.md has the table).

Lexical side. The share of the question's BM25 mass that the passage holds.

Calibration. log-odds(support) is measured in standard deviations from what questions without an answer get *in this very base*
(`calibration` finds out by playing such questions against it), then a logistic function turns both sides into a probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KERNEL_WIDTH = 2.0  # gamma of exp(-2 * gamma * (1 - cosine)), for a base that cannot choose its own; see calibration.KERNEL_WIDTHS
NOISE = 0.1  # lambda of the regression; 0.05 to 0.5 differ by less than 0.01 MCC
_SOFTENING = 0.02  # keeps log-odds of support 0 and 1 finite: -3.9 and 3.9


@dataclass(frozen=True, slots=True)
class Calibration:
    """The numbers that turn support and lexical share into a probability.

    `null_mean` and `null_deviation` describe log-odds of support for questions that the base cannot answer. `questions` is how
    many of the base's own questions were played; 0 means that the three weights are the shipped ones. `error` is the expected
    calibration error (10 bins) over those questions. `kernel_width` is that of the regression behind support.
    """

    null_mean: float
    null_deviation: float
    intercept: float
    support_weight: float
    lexical_weight: float
    questions: int = 0
    error: float | None = None
    kernel_width: float = KERNEL_WIDTH


def kernel(cosines: NDArray[np.floating], width: float = KERNEL_WIDTH) -> Floats:
    """Return the covariance of unit vectors with these `cosines`, any shape."""
    covariance: Floats = np.exp(-2 * width * (1 - cosines.astype(np.float64)))
    return covariance


def row_support(cosines: NDArray[np.floating], between: NDArray[np.floating], width: float = KERNEL_WIDTH) -> Floats:
    """Return what each of n near rows contributes, shape (n,).

    `cosines`, shape (n,), are those of the question and the rows; `between`, shape (n, n), those among the rows.
    """
    covariance = kernel(between, width)
    covariance.flat[:: len(cosines) + 1] += NOISE
    return np.asarray(np.linalg.solve(covariance, kernel(cosines, width)), np.float64)


def log_odds(support: NDArray[np.floating]) -> Floats:
    """Return softened log-odds of `support`, which noise may push outside 0..1."""
    share = np.clip(support.astype(np.float64), 0, 1)
    return np.log((share + _SOFTENING) / (1 - share + _SOFTENING))


def features(support: NDArray[np.floating], lexical: NDArray[np.floating], null_mean: float, null_deviation: float) -> Floats:
    """Return the columns (1, standardised log-odds of support, lexical share), shape (n, 3)."""
    standardised = (log_odds(support) - null_mean) / null_deviation
    return np.stack([np.ones(len(support)), standardised, lexical.astype(np.float64)], axis=1)


def probability(calibration: Calibration, support: NDArray[np.floating], lexical: NDArray[np.floating]) -> Floats:
    """Return the calibrated probability that each of n passages answers the question, shape (n,)."""
    weights = np.array([calibration.intercept, calibration.support_weight, calibration.lexical_weight])
    columns = features(support, lexical, calibration.null_mean, calibration.null_deviation)
    return sigmoid(columns @ weights)


def sigmoid(values: Floats) -> Floats:
    """Return 1 / (1 + exp(-values)) without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * values))
