"""BM25 over the rows of a snapshot: exact words, which vectors blur."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.text import words


class LexicalIndex:
    """A BM25 index of rows; scores are shares (0..1) of what the question's words could score at most."""

    def __init__(self, bm25: Any, rows: int) -> None:
        """Wrap a `bm25s.BM25`; use `build` or `load`."""
        self._bm25 = bm25
        self._rows = rows
        self._idf = _idf(bm25, rows)
        self._unseen_idf = float(np.log(1 + (rows + 0.5) / 0.5))

    @classmethod
    def build(cls, texts: Sequence[str]) -> LexicalIndex:
        """Index one row per text; a text without tokens is a row that never matches."""
        import bm25s

        tokens = [words(text) for text in texts]
        bm25 = bm25s.BM25(k1=1.2, b=0.75)
        bm25.index(tokens if any(tokens) else [["\0"]] * len(tokens), show_progress=False)
        return cls(bm25, len(texts))

    @classmethod
    def load(cls, folder: Path, rows: int) -> LexicalIndex:
        """Open what `save` wrote."""
        import bm25s

        return cls(bm25s.BM25.load(str(folder), mmap=True, show_progress=False), rows)

    def save(self, folder: Path) -> None:
        """Write the index as arrays and JSON."""
        self._bm25.save(str(folder), show_progress=False)

    def scores(self, text: str) -> NDArray[np.float32]:
        """Return one share per row, shape (rows,); words that no row holds lower every share."""
        tokens = list(dict.fromkeys(words(text)))
        ceiling = sum(self._idf.get(token, self._unseen_idf) for token in tokens)
        known = [token for token in tokens if token in self._idf]
        if not known:
            return np.zeros(self._rows, np.float32)
        return np.asarray(self._bm25.get_scores(known), np.float32) / np.float32(ceiling)


def _idf(bm25: Any, rows: int) -> dict[str, float]:
    # Lucene's idf, as bm25s computes it: ln(1 + (N - df + 0.5) / (df + 0.5)); df is the length of a token's column.
    df = np.diff(bm25.scores["indptr"])
    return {
        token: float(np.log(1 + (rows - df[column] + 0.5) / (df[column] + 0.5)))
        for token, column in bm25.vocab_dict.items()
        if column < len(df)
    }
