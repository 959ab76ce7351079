"""The seams: protocols that surfaces, knowledge, models and storage meet at."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.domain import Address, Exchange, Generation, InboundMessage, Limits, Passage, Prompt, Reply, Retrieval

Vectors: TypeAlias = NDArray[np.float32]


class Embedder(Protocol):
    """Text to vectors of unit length."""

    @property
    def version(self) -> str:
        """Model id and the first digits of the SHA-256 of its weights."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] = ...) -> Vectors:
        """Return float32 vectors of shape (len(texts), dimension), each of unit length. Blocks.

        `progress` is called with the number of texts done since the last call.
        """
        ...

    async def embed(self, text: str) -> Vectors:
        """Return one vector of shape (dimension,); concurrent calls share a batch."""
        ...


class Retriever(Protocol):
    """Finds the passages that may answer a question."""

    async def retrieve(self, question: str, limit: int = 5) -> Retrieval:
        """Return up to `limit` hits, best first. Raises `SnapshotError` when nothing is published."""
        ...


class PersonDetector(Protocol):
    """Recognises a customer who wants a person instead of the bot."""

    async def wants_person(self, text: str) -> bool:
        """Tell whether `text` asks for a person or has given up on the bot."""
        ...


class Generator(Protocol):
    """Writes an answer from a prompt."""

    @property
    def version(self) -> str:
        """Name of the model that is running."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether it answers without loading anything first."""
        ...

    async def open(self) -> None:
        """Load the model now instead of with the first prompt. Raises `ModelError` when it cannot be loaded."""
        ...

    def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """Yield pieces of text as they are written, then one `Generation`. Closing the iterator cancels the work."""
        ...

    async def aclose(self) -> None:
        """Free the model."""
        ...


class Turn(NamedTuple):
    """One logged question and its reply, as people read it back."""

    turn_id: str
    question: str
    asked_at: datetime
    reply: Reply


class ConversationLog(Protocol):
    """Keeps every conversation."""

    async def append(self, message: InboundMessage, reply: Reply) -> str:
        """Store one turn of the conversation at `message.address` and return its turn id."""
        ...

    async def history(self, address: Address, limit: int = 4) -> tuple[Exchange, ...]:
        """Return the last `limit` exchanges, oldest first."""
        ...

    async def turns(self, address: Address) -> tuple[Turn, ...]:
        """Return every turn of a conversation, oldest first."""
        ...


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
