"""How search grows with the base: exact beside the index that Frontdesk chooses, on embedded sentences."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from bot.settings import Settings
from core.ports import Vectors
from core.serving import weights
from retrieval import faiss_index
from retrieval.embedding import SentenceEmbedder
from retrieval.faiss_index import FaissIndex
from tests.bench.corpus import sentences

QUESTIONS = 200
DEPTH = 10


def measure(sizes: list[int], seed: int) -> list[dict[str, Any]]:
    """Return one row per size: build seconds, median milliseconds of exact and graph search, recall@10 of the graph."""
    found = weights.resolve(weights.MINILM, Settings().model_dir)
    embedder = SentenceEmbedder(found.folder, found.version)
    vectors = _cached(embedder, max(sizes) + QUESTIONS, seed)
    base, questions = vectors[:-QUESTIONS], vectors[-QUESTIONS:]
    return [_row(base[:size], questions) for size in sizes]


def _cached(embedder: SentenceEmbedder, count: int, seed: int) -> Vectors:
    """Embedding 100,000 sentences takes minutes: kept for the next run."""
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"frontdesk-bench-{embedder.version.rpartition('@')[2]}-{count}-{seed}.npy"
    if not path.exists():
        with Progress() as bar:
            task = bar.add_task("Embedding", total=count)
            np.save(path, embedder.encode(sentences(count, seed), lambda done: bar.advance(task, done)))
    vectors: Vectors = np.load(path)
    return vectors


def _row(base: Vectors, questions: Vectors) -> dict[str, Any]:
    exact, _ = _build(base, graph=False)
    graph, seconds = _build(base, graph=True)
    exact_found, exact_ms = _search(exact, questions)
    graph_found, graph_ms = _search(graph, questions)
    overlaps = [len(set(a) & set(b)) / DEPTH for a, b in zip(exact_found, graph_found, strict=True)]
    return {
        "rows": len(base),
        "chosen": "graph" if len(base) > faiss_index.EXACT_UP_TO else "exact",
        "exact_ms": round(exact_ms, 3),
        "graph_ms": round(graph_ms, 3),
        "speedup": round(exact_ms / graph_ms, 1),
        "recall@10": round(statistics.mean(overlaps), 4),
        "graph_build_s": round(seconds, 1),
    }


def _build(base: Vectors, *, graph: bool) -> tuple[FaissIndex, float]:
    started, limit = time.perf_counter(), faiss_index.EXACT_UP_TO
    faiss_index.EXACT_UP_TO = 0 if graph else len(base)
    try:
        return FaissIndex.build(base), time.perf_counter() - started
    finally:
        faiss_index.EXACT_UP_TO = limit


def _search(index: FaissIndex, questions: Vectors) -> tuple[list[list[int]], float]:
    found, times = [], []
    for question in questions:
        started = time.perf_counter()
        rows, _ = index.search(question, DEPTH)
        times.append((time.perf_counter() - started) * 1000)
        found.append(rows.tolist())
    return found, statistics.median(times)
