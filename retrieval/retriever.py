"""Answers questions from the served snapshot, and follows it when it moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.domain import Hit, Passage, Retrieval
from core.errors import FrontdeskError, SnapshotError
from core.knowledge import KnowledgeStore
from core.ports import Embedder, Vectors
from retrieval import snapshot


@dataclass(frozen=True, slots=True)
class _Serving:
    """A snapshot and the embedder it was built with: they move together or not at all."""

    snapshot: snapshot.Snapshot
    embedder: Embedder


class SnapshotRetriever:
    """`Retriever` on the active snapshot of one knowledge base."""

    def __init__(self, store: KnowledgeStore, folder: Path, knowledge: str, open_embedder: Callable[[str], Embedder]) -> None:
        """`open_embedder` gives the embedder for the version that a manifest names."""
        self._store = store
        self._folder = folder
        self._knowledge = knowledge
        self._open_embedder = open_embedder
        self._serving: _Serving | None = None
        self._moving = asyncio.Lock()  # a snapshot is opened once, however many questions wait for it

    async def refresh(self) -> bool:
        """Move to the active snapshot; return whether it was another one. On an error the old one keeps serving.

        Raises `SnapshotError` when nothing is published or the snapshot cannot be served.
        """
        async with self._moving:
            version = await self._store.active(self._knowledge)
            if version is None:
                raise SnapshotError(f"Knowledge {self._knowledge!r} is not published. Run: frontdesk knowledge publish")
            if self._serving is not None and self._serving.snapshot.manifest.version == version:
                return False
            self._serving = await asyncio.to_thread(self._open, version)
            return True

    async def watch(self, interval: float, report: Callable[[FrontdeskError], None]) -> None:
        """Refresh every `interval` seconds, forever; errors go to `report`."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self.refresh()
            except FrontdeskError as error:
                report(error)

    async def manifest(self) -> snapshot.Manifest:
        """Return the manifest of the snapshot being served."""
        return (await self._current()).snapshot.manifest

    async def titles(self, count: int) -> tuple[str, ...]:
        """Return the titles of the first `count` curated passages: questions that can be asked."""
        passages = (await self._current()).snapshot.passages
        return tuple(passage.title for passage in passages if passage.curated)[:count]

    async def passage(self, passage_id: str) -> Passage | None:
        """Return one passage as it is served, None when it is not."""
        passages = (await self._current()).snapshot.passages
        return next((passage for passage in passages if passage.passage_id == passage_id), None)

    async def retrieve(self, question: str, limit: int = 5) -> Retrieval:
        """See `Retriever.retrieve`."""
        serving = await self._current()
        vector = await serving.embedder.embed(question)
        hits = await asyncio.to_thread(_rank, serving.snapshot, vector, question, limit)
        return Retrieval(hits, serving.snapshot.manifest.version, serving.snapshot.manifest.embedder)

    async def _current(self) -> _Serving:
        if self._serving is None:
            await self.refresh()
        if self._serving is None:
            raise SnapshotError(f"Knowledge {self._knowledge!r} is not published. Run: frontdesk knowledge publish")
        return self._serving

    def _open(self, version: str) -> _Serving:
        loaded = snapshot.load(self._folder / version)
        embedder = self._open_embedder(loaded.manifest.embedder)
        if (embedder.version, embedder.dimension) != (loaded.manifest.embedder, loaded.manifest.dimension):
            raise SnapshotError(
                f"Snapshot {version} was built with {loaded.manifest.embedder}, the embedder at hand is {embedder.version}. "
                "Publish again: frontdesk knowledge publish"
            )
        return _Serving(loaded, embedder)


def _rank(served: snapshot.Snapshot, vector: Vectors, question: str, limit: int) -> tuple[Hit, ...]:
    ranked = served.ranker.candidates(vector, question).ranked(served.manifest.calibration)
    return tuple(Hit(served.passages[ordinal], chance) for ordinal, chance in ranked[:limit])
