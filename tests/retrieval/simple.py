"""An embedder without a model, and what tests of snapshots build with it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from core.domain import Passage
from core.ports import Embedder, Vectors
from core.storage.memory import MemoryKnowledgeStore
from core.text import words
from retrieval import ingest
from retrieval.snapshot import Manifest

KNOWLEDGE = "shop"
TOPICS = ("password", "invoice", "refund", "delivery", "coupon", "warranty", "newsletter", "address", "payment", "language")


class WordEmbedder:
    """`Embedder` that adds up one random direction per word: texts that share words are near. Counts what it is asked."""

    def __init__(self, version: str = "words@1", dimension: int = 32) -> None:
        self.version = version
        self.dimension = dimension
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None) -> Vectors:
        self.encoded += texts
        progress(len(texts))
        return np.array([self._vector(text) for text in texts], np.float32).reshape(-1, self.dimension)

    async def embed(self, text: str) -> Vectors:
        return self._vector(text)

    def _vector(self, text: str) -> Vectors:
        seeds = [zlib.crc32(word.encode()) for word in words(text)] or [0]
        total = sum(np.random.default_rng(seed).normal(size=self.dimension) for seed in seeds)
        return np.asarray(total / np.linalg.norm(total), np.float32)


def faq(topic: str, answer: str = "") -> Passage:
    """A FAQ row about `topic`."""
    return Passage(
        f"id-{topic}", f"id-{topic}", f"How does the {topic} work?", answer or f"The {topic} is explained here.", (f"help with {topic}",)
    )


async def filled_store(passages: Sequence[Passage] = tuple(map(faq, TOPICS))) -> MemoryKnowledgeStore:
    """A store that holds `passages`."""
    store = MemoryKnowledgeStore()
    await fill(store, passages)
    return store


async def fill(store: MemoryKnowledgeStore, passages: Sequence[Passage]) -> None:
    """Make `passages` the whole knowledge of `store`."""
    await store.replace_source(KNOWLEDGE, "test", passages, keep_missing=lambda: False)


async def publish(store: MemoryKnowledgeStore, folder: Path, embedder: Embedder) -> Manifest:
    """Publish what `store` holds."""
    return await ingest.publish(store, folder, KNOWLEDGE, embedder, "tester", lambda step, done, total: None)
