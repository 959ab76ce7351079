"""Which examples are learnt from and which are kept for judging: whole groups, and all that say nearly the same, on one side."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from core.examples import Example
from core.text import words
from core.training.chance import draw

NEAR = 0.6  # share of words (Jaccard) from which two groups say the same thing
_STEPS = 1000


def held_out(examples: Iterable[Example], share: float, near: float = NEAR) -> frozenset[str]:
    """Return the groups that are kept for judging, about `share` of all.

    A group stays where it is when others are added, unless one of them makes it a duplicate of a group on the other side: what decides is
    the hash of the first name among all that say nearly the same.
    """
    said: dict[str, list[str]] = defaultdict(list)
    for example in examples:
        said[example.group] += [example.question, example.answer]
    leaders = clusters({group: " ".join(dict.fromkeys(texts)) for group, texts in said.items()}, near)
    return frozenset(group for group, leader in leaders.items() if draw(f"part {leader}", _STEPS) < share * _STEPS)


def clusters(texts: Mapping[str, str], near: float = NEAR) -> dict[str, str]:
    """Return for each name the first name of its cluster: names are linked when their texts share at least `near` of their words.

    Only texts that share one of their rarest words are compared (prefix filter: Chaudhuri et al. 2006, "A primitive operator for
    similarity joins"); none that could be alike is missed.
    """
    bags = {name: frozenset(words(text)) for name, text in texts.items()}
    commonness = Counter(word for bag in bags.values() for word in bag)
    leaders = {name: name for name in bags}
    seen: dict[str, list[str]] = defaultdict(list)
    for name in sorted(bags):
        rarest = sorted(bags[name], key=lambda word: (commonness[word], word))
        for word in rarest[: len(rarest) - math.ceil(near * len(rarest)) + 1]:
            for other in seen[word]:
                if _leader(leaders, name) != _leader(leaders, other) and _alike(bags[name], bags[other]) >= near:
                    first, second = sorted((_leader(leaders, name), _leader(leaders, other)))
                    leaders[second] = first
            seen[word].append(name)
    return {name: _leader(leaders, name) for name in bags}


def _leader(leaders: dict[str, str], name: str) -> str:
    while leaders[name] != name:
        leaders[name] = name = leaders[leaders[name]]
    return name


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(len(one | other), 1)
