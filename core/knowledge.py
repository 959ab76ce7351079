"""Where knowledge is kept: the port and its values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, Protocol

from core.domain import Passage


class SourceImport(NamedTuple):
    """What importing one source changed; `conflicts` are passage ids that belong to another source and were left alone."""

    added: int
    changed: int
    unchanged: int
    removed: int
    conflicts: tuple[str, ...]


class Release(NamedTuple):
    """A snapshot of knowledge and whether it is the one being served."""

    version: str
    passages: int
    embedder: str
    published_at: datetime
    active: bool


class KnowledgeStore(Protocol):
    """The source of truth of knowledge: passages, and which snapshot of them is served."""

    async def replace_source(
        self, knowledge: str, source: str, passages: Iterable[Passage], *, keep_missing: Callable[[], bool]
    ) -> SourceImport:
        """Make `passages` the content of `source` in one transaction; an error while they are read undoes it all.

        Passages of the source that are not among `passages` are removed unless `keep_missing()`, asked at the end.
        """
        ...

    async def sources(self, knowledge: str) -> tuple[str, ...]:
        """Return the sources that passages came from."""
        ...

    async def passages(self, knowledge: str) -> tuple[Passage, ...]:
        """Return every passage, ordered by id."""
        ...

    async def add_release(self, knowledge: str, version: str, passages: int, embedder: str, actor: str) -> None:
        """Record a published snapshot and make it the active one."""
        ...

    async def activate(self, knowledge: str, version: str, actor: str) -> None:
        """Serve an older snapshot again. Raises `KnowledgeError` when it was never published."""
        ...

    async def active(self, knowledge: str) -> str | None:
        """Return the version being served."""
        ...

    async def releases(self, knowledge: str) -> tuple[Release, ...]:
        """Return every published snapshot, newest first."""
        ...

    async def names(self) -> tuple[str, ...]:
        """Return the names of all knowledge bases."""
        ...
