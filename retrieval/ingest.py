"""Knowledge to a new snapshot: embed what changed, index, calibrate, publish by rename."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.domain import Passage
from core.errors import KnowledgeError, SnapshotError
from core.knowledge import KnowledgeStore
from core.ports import Embedder, Vectors
from retrieval import calibration, snapshot
from retrieval.faiss_index import FaissIndex
from retrieval.lexical import LexicalIndex
from retrieval.ranking import Ranker
from retrieval.rows import own_questions, owners, row_texts

Progress = Callable[[str, int, int], None]  # step, done since the last call, total


class Reindexed(NamedTuple):
    """The versions of a snapshot: that which was served, and that with another embedder which is served in its place."""

    replaced: str
    made: str


async def publish(
    store: KnowledgeStore, folder: Path, knowledge: str, embedder: Embedder, actor: str, progress: Progress
) -> snapshot.Manifest:
    """Build a snapshot of `knowledge` under `folder`, make it the served one, and return its manifest.

    The work is done in a thread, so that a process can answer meanwhile; `progress` is called there. Whoever is cancelled ends it at its
    next step, and nothing has changed. Raises `KnowledgeError` when there is nothing to publish and `SnapshotError` when it cannot be
    written.
    """
    passages = await store.passages(knowledge)
    if not passages:
        raise KnowledgeError(f"Knowledge {knowledge!r} is empty. Import something first: frontdesk knowledge import PATH")
    manifest = await _built_apart(folder, knowledge, embedder, passages, await store.active(knowledge), progress)
    await store.add_release(knowledge, manifest.version, manifest.passages, manifest.embedder, actor)
    return manifest


async def reindex(
    store: KnowledgeStore, folder: Path, knowledge: str, embedder: Embedder, actor: str, progress: Progress
) -> Reindexed | None:
    """Serve what is served with another embedder, as `publish` does, None where nothing is; what was edited since stays unpublished."""
    while (active := await store.active(knowledge)) is not None:
        passages = await asyncio.to_thread(_served, folder, active, knowledge)
        manifest = await _built_apart(folder, knowledge, embedder, passages, active, progress)
        if await store.active(knowledge) == active:  # else somebody has published meanwhile, and that is what is served
            await store.add_release(knowledge, manifest.version, manifest.passages, manifest.embedder, actor)
            return Reindexed(active, manifest.version)
    return None


def _served(folder: Path, active: str, knowledge: str) -> tuple[Passage, ...]:
    try:
        return snapshot.contents(folder / active).passages
    except SnapshotError as error:
        raise SnapshotError(
            f"What is served of knowledge {knowledge!r} cannot be read, so no other embedder can index it: {error} "
            f"Or serve an older version first: frontdesk knowledge rollback VERSION --knowledge {knowledge}"
        ) from error


async def _built_apart(
    folder: Path, knowledge: str, embedder: Embedder, passages: Sequence[Passage], active: str | None, progress: Progress
) -> snapshot.Manifest:
    """Build a snapshot in a thread and return its manifest."""
    version, is_cancelled = snapshot.version_of(passages, embedder.version), threading.Event()

    def told(step: str, done: int, total: int) -> None:
        if is_cancelled.is_set():
            raise KnowledgeError("Publishing was stopped before its end. Nothing was changed.")
        progress(step, done, total)

    try:
        return await asyncio.to_thread(_built, folder, version, knowledge, embedder, passages, active, told)
    except asyncio.CancelledError:
        is_cancelled.set()
        raise


def _built(
    folder: Path, version: str, knowledge: str, embedder: Embedder, passages: Sequence[Passage], active: str | None, progress: Progress
) -> snapshot.Manifest:  # fmt: skip
    """Return the manifest of a snapshot, which is built where there is none that can be opened."""
    if not snapshot.is_sound(folder / version):
        build(folder, version, knowledge, embedder, passages, _previous(folder, active, embedder.version), progress)
    return snapshot.load(folder / version).manifest


def build(
    folder: Path, version: str, knowledge: str, embedder: Embedder, passages: Sequence[Passage],
    previous: snapshot.Snapshot | None, progress: Progress,
) -> None:  # fmt: skip
    """Write the snapshot `version` of `passages`; vectors that `previous` holds are not computed again."""
    texts = [text for passage in passages for text in row_texts(passage)]
    vectors = _vectors(embedder, texts, previous, progress)
    progress("index", 0, 1)
    index, lexical, owner_of = FaissIndex.build(vectors), LexicalIndex.build(texts), owners(passages)
    progress("index", 1, 1)
    questions = own_questions(passages, _centroids(vectors, owner_of, len(passages)))
    fitted = calibration.fit(
        questions,
        lambda rows: vectors[rows],
        Ranker(index, lexical, owner_of),
        lambda done: progress("calibrate", done, len(questions)),
    )
    snapshot.write(folder, version, knowledge, embedder.version, passages, index, lexical, fitted)


def _vectors(embedder: Embedder, texts: list[str], previous: snapshot.Snapshot | None, progress: Progress) -> Vectors:
    vectors = np.zeros((len(texts), embedder.dimension), np.float32)
    missing = np.ones(len(texts), bool)
    if previous is not None:
        positions, known = snapshot.vectors_of(previous, texts)
        vectors[positions] = known
        missing[positions] = False
    todo = np.flatnonzero(missing)
    vectors[todo] = embedder.encode([texts[n] for n in todo], lambda done: progress("embed", done, len(todo)))
    return vectors


def _previous(folder: Path, version: str | None, embedder_version: str) -> snapshot.Snapshot | None:
    """The served snapshot, if its vectors can be used again."""
    try:
        loaded = snapshot.load(folder / version) if version else None
    except SnapshotError:
        return None  # damaged or gone: everything is embedded again
    return loaded if loaded and loaded.manifest.embedder == embedder_version else None


def _centroids(vectors: Vectors, owner_of: np.ndarray, count: int) -> np.ndarray:
    sums = np.zeros((count, vectors.shape[1]), np.float32)
    np.add.at(sums, owner_of, vectors)
    centroids: np.ndarray = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return centroids
