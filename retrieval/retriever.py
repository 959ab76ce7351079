"""Reads the served snapshot and answers questions from it, and follows it when it moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from core.domain import Hit, Passage, Retrieval
from core.errors import FrontdeskError, SnapshotError
from core.knowledge import KnowledgeStore
from core.ports import Embedder, Vectors
from retrieval import snapshot
from retrieval.ranking import Ranker


@dataclass(frozen=True, slots=True)
class _Serving(snapshot.Contents):
    """A snapshot and the embedder it was built with: they move together or not at all."""

    ranker: Ranker
    embedder: Embedder


Opened = TypeVar("Opened", bound=snapshot.Contents)


class _Follower(Generic[Opened]):
    """Holds the active snapshot of one knowledge base as `open` gives it for a folder."""

    def __init__(self, store: KnowledgeStore, folder: Path, knowledge: str, open: Callable[[Path], Opened]) -> None:
        self._store = store
        self._folder = folder
        self._knowledge = knowledge
        self._open = open
        self._serving: Opened | None = None
        self._moving = asyncio.Lock()  # a snapshot is opened once, however many questions wait for it

    async def refresh(self) -> bool:
        """Move to the active snapshot; return whether it was another one. On an error the old one keeps serving.

        Raises `SnapshotError` when nothing is published or the snapshot cannot be served.
        """
        async with self._moving:
            version = await self._store.active(self._knowledge)
            if version is None:
                raise SnapshotError(f"Knowledge {self._knowledge!r} is not published. Run: frontdesk knowledge publish")
            if self._serving is not None and self._serving.manifest.version == version:
                return False
            self._serving = await asyncio.to_thread(self._open, self._folder / version)
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
        return (await self._current()).manifest

    async def titles(self, count: int) -> tuple[str, ...]:
        """Return the titles of the first `count` curated passages: questions that can be asked."""
        passages = (await self._current()).passages
        return tuple(passage.title for passage in passages if passage.curated)[:count]

    async def passage(self, passage_id: str) -> Passage | None:
        """Return one passage as it is served, None when it is not."""
        passages = (await self._current()).passages
        return next((passage for passage in passages if passage.passage_id == passage_id), None)

    async def _current(self) -> Opened:
        if self._serving is None:
            await self.refresh()
        if self._serving is None:
            raise SnapshotError(f"Knowledge {self._knowledge!r} is not published. Run: frontdesk knowledge publish")
        return self._serving


class SnapshotReader(_Follower[snapshot.Contents]):
    """The passages of the active snapshot: all that a process without a worker needs, 700 MB of torch less."""

    def __init__(self, store: KnowledgeStore, folder: Path, knowledge: str) -> None:
        super().__init__(store, folder, knowledge, snapshot.contents)


class SnapshotRetriever(_Follower[_Serving]):
    """`Retriever` on the active snapshot of one knowledge base."""

    def __init__(self, store: KnowledgeStore, folder: Path, knowledge: str, open_embedder: Callable[[str], Embedder]) -> None:
        """`open_embedder` gives the embedder for the version that a manifest names."""
        super().__init__(store, folder, knowledge, self._load)
        self._open_embedder = open_embedder

    async def retrieve(self, question: str, limit: int = 5) -> Retrieval:
        """See `Retriever.retrieve`."""
        serving = await self._current()
        vector = await serving.embedder.embed(question)
        hits = await asyncio.to_thread(_rank, serving, vector, question, limit)
        return Retrieval(hits, serving.manifest.version, serving.manifest.embedder)

    async def embedder(self) -> Embedder:
        """Return the embedder of the snapshot being served."""
        return (await self._current()).embedder

    def _load(self, path: Path) -> _Serving:
        loaded = snapshot.load(path)
        embedder = self._open_embedder(loaded.manifest.embedder)
        if (embedder.version, embedder.dimension) != (loaded.manifest.embedder, loaded.manifest.dimension):
            raise SnapshotError(
                f"Snapshot {path.name} was built with {loaded.manifest.embedder}, the embedder at hand is {embedder.version}. "
                "Publish again: frontdesk knowledge publish"
            )
        return _Serving(loaded.manifest, loaded.passages, loaded.ranker, embedder)


Reader: TypeAlias = SnapshotReader | SnapshotRetriever  # whichever a process has


def _rank(served: _Serving, vector: Vectors, question: str, limit: int) -> tuple[Hit, ...]:
    ranked = served.ranker.candidates(vector, question).ranked(served.manifest.calibration)
    return tuple(Hit(served.passages[ordinal], chance) for ordinal, chance in ranked[:limit])
