"""What changed between two texts, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS = 4000  # of both together; beyond them lines are compared: words would take seconds


class Piece(NamedTuple):
    """A run of words: `same` in both texts, `gone` from the old one, or `new`."""

    kind: str
    text: str


def difference(old: str, new: str) -> tuple[Piece, ...]:
    """Return the pieces of both texts in reading order."""
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    if len(before) + len(after) > _MOST_WORDS:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    pieces: list[Piece] = []
    for what, start, end, first, last in SequenceMatcher(None, before, after).get_opcodes():
        if what == "equal":
            pieces.append(Piece("same", "".join(before[start:end])))
            continue
        pieces += [Piece(kind, "".join(words)) for kind, words in (("gone", before[start:end]), ("new", after[first:last])) if words]
    return tuple(pieces)
