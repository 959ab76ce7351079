"""Texts that mean the same, found by the cosine of their vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from core.ports import Embedder, Vectors

# Pairs of 500 test questions put together rightly, F1 on stackfaq, banking77 and clinc150: 0.80, 0.40, 0.56; at 0.5 0.64, 0.37, 0.57,
# at 0.7 0.70, 0.28, 0.36. Without taking the mean away 0.68, 0.29, 0.55: where all ask about one product, that product is what they share.
ALIKE = 0.6
_PRIOR = 20  # texts: the mean of a few says more about them than about the trade
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

    What all of them share is taken away first. Greedy: the row with the most neighbours that belong to no group yet takes them all, and
    so on; the largest group comes first.
    """
    if not len(vectors):
        return []
    shared = vectors.mean(axis=0) * len(vectors) / (len(vectors) + _PRIOR)
    different = vectors - shared
    different /= np.maximum(np.linalg.norm(different, axis=1, keepdims=True), 1e-9)
    cosines = different @ different.T
    near = cosines >= alike
    np.fill_diagonal(near, val=True)
    free, counts, groups = np.ones(len(vectors), bool), near.sum(axis=1), []
    while free.any():
        members = np.flatnonzero(near[np.where(free, counts, -1).argmax()] & free)
        free[members] = False
        counts -= near[:, members].sum(axis=1)
        groups.append(_central_first(members, cosines))
    return groups


def _central_first(members: np.ndarray, cosines: np.ndarray) -> list[int]:
    """Order the rows of a group by how near they are to all of it."""
    nearness = cosines[np.ix_(members, members)].sum(axis=1)
    order: list[int] = members[np.argsort(-nearness, kind="stable")].tolist()
    return order
