"""The marks in an answer, [1] and so on, as they stand for the passages of a prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.domain import Passage

_MARK = re.compile(r"\s*\[(\d{1,2})\]")


def bare(text: str) -> str:
    """Return `text` without its marks."""
    return _MARK.sub("", text)


def marks(text: str) -> frozenset[str]:
    """Return the numbers that a text names."""
    return frozenset(_MARK.findall(text))


def recited(text: str, cites: Sequence[str], passages: Sequence[Passage]) -> str:
    """Return `text`, whose [n] names the n-th of `cites`, with marks that name the same of `passages`; what is not there is not named.

    What a customer is shown counts its sources from 1; a model counts the passages of its prompt.
    """
    numbers = {passage.passage_id: number for number, passage in enumerate(passages, 1)}
    known = {place: numbers[cited] for place, cited in enumerate(cites, 1) if cited in numbers}
    return _MARK.sub(lambda mark: f" [{known[int(mark[1])]}]" if int(mark[1]) in known else "", text)
