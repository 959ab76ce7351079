"""Questions that mean the same come together, the most central first."""

from __future__ import annotations

import numpy as np

from core.ports import Embedder
from retrieval.grouping import Grouper, group
from tests.retrieval.simple import WordEmbedder

ASKED = [
    "How do I get my money back?",
    "What payment methods do you take?",
    "I want a refund",
    "Is there parking at the shop?",
    "how can i get a refund for my order",
    "Can I pay by card?",
    "please refund my money",
    "opening hours on sunday",
]


async def grouped(embedder: Embedder, texts: list[str]) -> list[set[int]]:
    async def serving() -> Embedder:
        return embedder

    return [set(places) for places in await Grouper(serving)(texts)]


async def test_what_means_the_same_is_one_group_the_largest_first(embedder: Embedder) -> None:
    groups = await grouped(embedder, ASKED)
    assert groups[0] >= {2, 4, 6}
    assert not groups[0] & {1, 3, 5, 7}
    assert sorted(place for places in groups for place in places) == list(range(len(ASKED)))


async def test_nothing_and_one_and_the_same_text_twice(embedder: Embedder) -> None:
    assert await grouped(embedder, []) == []
    assert await grouped(embedder, ["?"]) == [{0}]
    assert await grouped(embedder, ["How do I pay?"] * 3) == [{0, 1, 2}]


async def test_texts_are_embedded_once_and_anew_by_another_embedder() -> None:
    serving = WordEmbedder()

    async def current() -> Embedder:
        return serving

    grouper = Grouper(current)
    await grouper(["refund please", "refund please", "parking"])
    await grouper(["parking", "hours"])
    assert serving.encoded == ["refund please", "parking", "hours"]
    serving = WordEmbedder("words@2")
    await grouper(["parking"])
    assert serving.encoded == ["parking"]


def test_the_most_central_comes_first_and_every_row_is_in_one_group() -> None:
    angles = np.radians([0, 10, 20, 180, 185, 90])
    vectors = np.array([np.cos(angles), np.sin(angles)], np.float32).T
    groups = group(vectors, 0.9)
    assert groups[0][0] == 1
    assert sorted(map(sorted, groups)) == [[0, 1, 2], [3, 4], [5]]
