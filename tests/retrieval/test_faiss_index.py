"""Nearest vectors: exact while small, nearly so above, and never a damaged file."""

from __future__ import annotations

import struct
from pathlib import Path

import faiss
import numpy as np
import pytest

from core.errors import SnapshotError
from core.ports import Vectors
from retrieval import faiss_index
from retrieval.faiss_index import FaissIndex


def unit_vectors(rows: int, dimension: int = 16, seed: int = 1) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def is_graph(index: FaissIndex) -> bool:
    return hasattr(index._index, "hnsw")


def test_rows_come_nearest_first_with_their_cosines() -> None:
    vectors = unit_vectors(50)
    rows, cosines = FaissIndex.build(vectors).search(vectors[7], 50)
    assert rows[0] == 7
    assert np.allclose(cosines, np.sort(vectors @ vectors[7])[::-1], atol=1e-5)
    assert sorted(rows.tolist()) == list(range(50))


def test_whoever_calls_has_as_many_threads_afterwards_as_before() -> None:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        FaissIndex.build(unit_vectors(50)).search(unit_vectors(1)[0], 5)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_up_to_the_limit_search_is_exact_and_above_it_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_index, "EXACT_UP_TO", 100)
    assert not is_graph(FaissIndex.build(unit_vectors(100)))
    assert is_graph(FaissIndex.build(unit_vectors(101)))


def test_the_graph_finds_nearly_all_that_exact_search_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, questions = unit_vectors(2000), unit_vectors(50, seed=2)
    exact = FaissIndex.build(vectors)
    monkeypatch.setattr(faiss_index, "EXACT_UP_TO", 100)
    graph = FaissIndex.build(vectors)
    shared = [len(set(exact.search(q, 10)[0]) & set(graph.search(q, 10)[0])) for q in questions]
    assert sum(shared) / 500 >= 0.99


@pytest.mark.parametrize("limit", [5, 1000])
def test_more_than_there_are_gives_all_there_are(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(faiss_index, "EXACT_UP_TO", limit)
    vectors = unit_vectors(20)
    rows, cosines = FaissIndex.build(vectors).search(vectors[0], 500)
    assert sorted(rows.tolist()) == list(range(20))
    assert len(cosines) == 20


@pytest.mark.parametrize("limit", [5, 1000])
def test_bad_input_63_a_vector_of_nan_is_near_nothing(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(faiss_index, "EXACT_UP_TO", limit)
    rows, cosines = FaissIndex.build(unit_vectors(20)).search(np.full(16, np.nan, np.float32), 5)
    assert (rows.tolist(), cosines.tolist()) == ([], [])


@pytest.mark.parametrize("limit", [5, 1000])
def test_a_saved_index_is_the_same_when_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int) -> None:
    monkeypatch.setattr(faiss_index, "EXACT_UP_TO", limit)
    vectors = unit_vectors(300)
    FaissIndex.build(vectors).save(tmp_path / "x.faiss")
    opened = FaissIndex.load(tmp_path / "x.faiss")
    assert (opened.rows, opened.dimension, is_graph(opened)) == (300, 16, limit == 5)
    assert opened.search(vectors[9], 3)[0][0] == 9
    assert np.array_equal(opened.vectors(np.array([3, 1])), vectors[[3, 1]])


def test_no_rows_give_no_vectors() -> None:
    assert FaissIndex.build(unit_vectors(3)).vectors(np.zeros(0, np.int64)).shape == (0, 16)


def flat_file(folder: Path) -> tuple[Path, bytes]:
    path = folder / "x.faiss"
    FaissIndex.build(unit_vectors(30)).save(path)
    return path, path.read_bytes()


@pytest.mark.parametrize("kept", [0, 1, 4, 20, 40, 100, -1])
def test_bad_input_63_an_empty_or_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    path, content = flat_file(tmp_path)
    path.write_bytes(content[:kept])
    with pytest.raises(SnapshotError, match=r"x.faiss is no FAISS index"):
        FaissIndex.load(path)


def test_bad_input_63_garbage_and_a_wrong_magic_are_refused(tmp_path: Path) -> None:
    path, content = flat_file(tmp_path)
    for damaged in (np.random.default_rng(1).bytes(2000), b"XXXX" + content[4:], b"IxFI" * 100):
        path.write_bytes(damaged)
        with pytest.raises(SnapshotError, match=r"x.faiss is no FAISS index"):
            FaissIndex.load(path)


@pytest.mark.parametrize(("position", "value"), [(4, struct.pack("<i", 2**30)), (8, struct.pack("<q", 2**40)), (4, struct.pack("<i", -1))])
def test_bad_input_63_a_huge_or_negative_declared_size_is_refused(tmp_path: Path, position: int, value: bytes) -> None:
    path, content = flat_file(tmp_path)
    path.write_bytes(content[:position] + value + content[position + len(value) :])
    with pytest.raises(SnapshotError, match=r"x.faiss is no FAISS index"):
        FaissIndex.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"is no FAISS index"):
        FaissIndex.load(tmp_path / "gone.faiss")


@pytest.mark.parametrize("rows", [3, 3000])
def test_bad_input_60_a_full_disk_is_an_error_however_little_was_left_to_write(rows: int) -> None:
    with pytest.raises(OSError, match=r"No space left"):
        FaissIndex.build(unit_vectors(rows)).save(Path("/dev/full"))
