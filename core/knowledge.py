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


class Entry(NamedTuple):
    """A passage as it is kept, not as it is served; `version` is another one after each change."""

    passage: Passage
    source: str
    version: str
    updated_at: datetime


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

    async def entry(self, knowledge: str, passage_id: str) -> Entry | None:
        """Return one passage, None when there is none of this id."""
        ...

    async def find(self, knowledge: str, text: str, limit: int, offset: int = 0) -> tuple[Entry, ...]:
        """Return passages in whose id, title or body `text` stands, in whatever case, ordered by id."""
        ...

    async def count(self, knowledge: str, text: str = "") -> int:
        """Return how many passages `find` would find."""
        ...

    async def put(self, knowledge: str, source: str, passage: Passage, version: str | None) -> bool:
        """Write one passage, which belongs to `source` from here on; importing another source leaves it alone.

        False, and nothing is written, when it is no longer as it was at `version`; None: when there is one of this id.
        """
        ...

    async def remove(self, knowledge: str, passage_id: str, version: str) -> bool:
        """Take one passage out; False when it is no longer as it was at `version`."""
        ...

    async def changed_at(self, knowledge: str) -> datetime | None:
        """Return when a passage was last written, None when there is none."""
        ...
