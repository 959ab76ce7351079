"""Nearest vectors with FAISS: exact while small, a graph when large."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import SnapshotError
from core.ports import Vectors

# One exact search of 20,000 vectors of 384 numbers takes about 1.5 ms on one core, less than embedding the question (6 ms);
# at 200,000 it takes 17 ms and the graph 0.4 ms. Measured by `make bench-retrieval`; see ARCHITECTURE.md.
EXACT_UP_TO = 20_000
_HNSW_LINKS = 32
_HNSW_BUILD_BREADTH = 200
_HNSW_SEARCH_BREADTH = 256


class FaissIndex:
    """Rows of unit vectors, found by cosine."""

    def __init__(self, index: Any) -> None:
        """Wrap a FAISS index; use `build` or `load`."""
        self._index = index

    @classmethod
    def build(cls, vectors: Vectors) -> FaissIndex:
        """Index `vectors`, float32 of shape (rows, dimension), each of unit length."""
        import faiss

        rows, dimension = vectors.shape
        index: Any = faiss.IndexFlatIP(dimension)
        if rows > EXACT_UP_TO:
            index = faiss.IndexHNSWFlat(dimension, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = _HNSW_BUILD_BREADTH
        with _threads(os.cpu_count() or 1):
            index.add(vectors)
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> FaissIndex:
        """Open what `save` wrote. The caller has checked its SHA-256: FAISS loads a flipped bit without a word."""
        import faiss

        try:
            return cls(faiss.read_index(str(path)))
        except RuntimeError as error:
            raise SnapshotError(f"{path} is no FAISS index: {error}") from error

    def save(self, path: Path) -> None:
        """Write the index to `path`. Raises `OSError`: FAISS, left to open the file itself, hides that a full disk cut it short."""
        import faiss

        with path.open("wb") as file:
            faiss.write_index(self._index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]

    @property
    def rows(self) -> int:
        """Number of vectors."""
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._index.d)

    def search(self, question: Vectors, count: int) -> tuple[NDArray[np.int64], Vectors]:
        """Return the rows nearest to one vector, shape (dimension,), best first, with their cosines; fewer than `count` if there are."""
        count = min(count, self.rows)
        with _threads(1):  # two waiting thread pools, FAISS's and numpy's, made one search take 12 ms instead of 1.8
            cosines, rows = self._index.search(question[None], count, params=self._breadth(count))
        found = rows[0] >= 0  # FAISS fills up with -1, and answers a NaN vector with nothing else
        return rows[0][found], cosines[0][found]

    def _breadth(self, count: int) -> Any:
        import faiss

        is_graph = hasattr(self._index, "hnsw")
        if not is_graph:
            return None
        return faiss.SearchParametersHNSW(efSearch=max(_HNSW_SEARCH_BREADTH, count))  # type: ignore[attr-defined]

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """Return the stored vectors of `rows`, shape (len(rows), dimension)."""
        return np.asarray(self._index.reconstruct_batch(np.ascontiguousarray(rows, np.int64)), np.float32)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let FAISS use `count` threads. Torch has the same OpenMP, and what is trained next in this thread would be left with as many."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
