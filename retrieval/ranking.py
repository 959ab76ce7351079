"""Candidates for a question: near rows and rows with its words, gathered per passage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.ports import Vectors
from retrieval.faiss_index import FaissIndex
from retrieval.fusion import KERNEL_WIDTH, Calibration, Floats, probability, row_support
from retrieval.lexical import LexicalIndex

Rows = NDArray[np.int64]

NEIGHBOURS = 128  # near rows that explain a question; 64 costs 0.005 MCC on the large sets, 256 gains nothing
WORD_ROWS = 12  # rows that share the most words with it, near or not: an error code may be all that matters
NO_ROWS: Rows = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Passages (by ordinal) that may answer, with their support and lexical share; unordered, three arrays of one length."""

    ordinals: Rows
    support: Floats
    lexical: Floats

    def ranked(self, calibration: Calibration) -> list[tuple[int, float]]:
        """Return (ordinal, probability) pairs, most probable first."""
        chances = probability(calibration, self.support, self.lexical)
        order = np.lexsort((-self.support, -chances))
        return [(int(self.ordinals[index]), float(chances[index])) for index in order]


class Ranker:
    """Finds candidates in the rows of a snapshot."""

    def __init__(self, index: FaissIndex, lexical: LexicalIndex, owners: Rows, kernel_width: float = KERNEL_WIDTH) -> None:
        """`owners`, shape (rows,), gives the passage ordinal of each row."""
        self.kernel_width = kernel_width
        self._index = index
        self._lexical = lexical
        self._owners = owners

    def with_kernel(self, width: float) -> Ranker:
        """Return a ranker of the same rows with another kernel."""
        return Ranker(self._index, self._lexical, self._owners, width)

    def candidates(self, question: Vectors, text: str, excluded: Rows = NO_ROWS) -> Candidates:
        """Return candidates for the vector `question`, shape (dimension,), and its `text`, as if the `excluded` rows were not there.

        A vector that is not finite is near nothing: it has no candidates, whatever words it shares.
        """
        if not np.isfinite(question).all():
            return Candidates(NO_ROWS, np.zeros(0), np.zeros(0))
        shares = self._lexical.scores(text)
        shares[excluded] = 0
        rows, cosines = self._near(question, shares, excluded)
        if not len(rows):
            return Candidates(NO_ROWS, np.zeros(0), np.zeros(0))
        vectors = self._index.vectors(rows)
        contributions = row_support(cosines, vectors @ vectors.T, self.kernel_width)
        ordinals, group = np.unique(self._owners[rows], return_inverse=True)
        lexical = np.zeros(len(ordinals))
        np.maximum.at(lexical, group, shares[rows])
        support: Floats = np.bincount(group, contributions, len(ordinals)).astype(np.float64)
        return Candidates(ordinals, support, lexical)

    def _near(self, question: Vectors, shares: NDArray[np.float32], excluded: Rows) -> tuple[Rows, NDArray[np.float32]]:
        rows, cosines = self._index.search(question, NEIGHBOURS + len(excluded))
        keep = ~np.isin(rows, excluded)
        rows, cosines = rows[keep][:NEIGHBOURS], cosines[keep][:NEIGHBOURS]
        wordy = np.argpartition(-shares, min(WORD_ROWS, len(shares) - 1))[:WORD_ROWS]
        extra = np.setdiff1d(wordy[shares[wordy] > 0], rows)
        if not len(extra):
            return rows, cosines
        return np.concatenate([rows, extra]), np.concatenate([cosines, self._index.vectors(extra) @ question])
