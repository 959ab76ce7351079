"""Which pairs are learnt from together: in a batch every other answer counts as wrong, so each topic is there once, among those like it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

Neighbours = Sequence[Sequence[int]]  # for each topic others, the most alike first


def batches(topics: Sequence[int], alike: Sequence[str], near: Neighbours, size: int, seed: int) -> list[list[int]]:
    """Return batches of positions in `topics`, the topic of each pair; `alike` names what each topic answers.

    Half of a batch are topics near its first one (hard negatives), the rest are those with most pairs left. No two pairs of a batch
    answer the same: one would be taught to be wrong for the other. What is left at the end, less than half a batch, is left out.
    """
    chance = np.random.default_rng(seed)
    waiting = _waiting(topics, chance)
    found: list[list[int]] = []
    while waiting:
        first = max(waiting, key=lambda topic: len(waiting[topic]))
        chosen = _company(first, waiting, alike, near[first], size)
        if len(chosen) < 2 or (found and len(chosen) < size // 2 and len(chosen) < len(found[0]) // 2):
            break
        found.append([waiting[topic].pop() for topic in chosen])
        waiting = {topic: pairs for topic, pairs in waiting.items() if pairs}
    return [found[place] for place in chance.permutation(len(found))]


def _waiting(topics: Sequence[int], chance: np.random.Generator) -> dict[int, list[int]]:
    """Return the positions of each topic's pairs, all of it shuffled."""
    waiting: dict[int, list[int]] = defaultdict(list)
    for position in chance.permutation(len(topics)).tolist():
        waiting[topics[position]].append(position)
    return dict(waiting)


def _company(first: int, waiting: Mapping[int, list[int]], alike: Sequence[str], near: Sequence[int], size: int) -> list[int]:
    """Return the topics of a batch: the first one, those near it up to the half, then those with most pairs left."""
    chosen = _different([first, *(topic for topic in near if topic in waiting)], alike, max(2, size // 2), set())
    fullest = sorted((topic for topic in waiting if topic not in chosen), key=lambda topic: -len(waiting[topic]))
    return [*chosen, *_different(fullest, alike, size - len(chosen), {alike[topic] for topic in chosen})]


def _different(topics: Sequence[int], alike: Sequence[str], most: int, taken: set[str]) -> list[int]:
    """Return up to `most` topics that answer differently from one another and from what is `taken`."""
    return list(_each_once(topics, alike, set(taken)))[:most]


def _each_once(topics: Sequence[int], alike: Sequence[str], taken: set[str]) -> Iterator[int]:
    for topic in topics:
        if alike[topic] not in taken:
            taken.add(alike[topic])
            yield topic
