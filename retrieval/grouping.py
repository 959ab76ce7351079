"""Texts that mean the same, found by the cosine of their vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from core.ports import Embedder, Vectors

# Of three questions about one thing in different words and seven about others (the packaged sample) this keeps the most together
# without mixing two.
ALIKE = 0.6
_REMEMBERED = 5000  # vectors of 384 numbers: 8 MB


class Grouper:
    """`Grouping` with an embedder; vectors of the last texts are kept, so that grouping again costs little."""

    def __init__(self, embedder: Callable[[], Awaitable[Embedder]]) -> None:
        """`embedder` gives the one that is in service."""
        self._embedder = embedder
        self._vectors: dict[tuple[str, str], Vectors] = {}

    async def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """See `core.unanswered.Grouping`."""
        embedder = await self._embedder()
        await self._learn(embedder, texts)
        return await asyncio.to_thread(group, np.array([self._vectors[embedder.version, text] for text in texts], np.float32))

    async def _learn(self, embedder: Embedder, texts: Sequence[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if (embedder.version, text) not in self._vectors]
        vectors: Sequence[Vectors] = list(await asyncio.to_thread(embedder.encode, new)) if new else []
        if len(self._vectors) + len(new) > _REMEMBERED:
            wanted = {(embedder.version, text) for text in texts}
            self._vectors = {key: vector for key, vector in self._vectors.items() if key in wanted}
        self._vectors |= {(embedder.version, text): vector for text, vector in zip(new, vectors, strict=True)}


def group(vectors: Vectors, alike: float = ALIKE) -> list[list[int]]:
    """Return groups of rows of `vectors`, shape (texts, dimension), of unit length: each around the row with most others near it.

    Greedy: the row with the most neighbours that belong to no group yet takes them all, and so on; the largest group comes first.
    """
    if not len(vectors):
        return []
    cosines = vectors @ vectors.T
    near = cosines >= alike
    np.fill_diagonal(near, val=True)
    free, groups = np.ones(len(vectors), bool), []
    while free.any():
        counts = np.where(free, (near & free).sum(axis=1), -1)
        members = np.flatnonzero(near[counts.argmax()] & free)
        free[members] = False
        groups.append(_central_first(members, cosines))
    return groups


def _central_first(members: np.ndarray, cosines: np.ndarray) -> list[int]:
    """Order the rows of a group by how near they are to all of it."""
    nearness = cosines[np.ix_(members, members)].sum(axis=1)
    order: list[int] = members[np.argsort(-nearness, kind="stable")].tolist()
    return order
