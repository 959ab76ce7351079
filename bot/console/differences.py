"""What changed between two texts, word by word; pure."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

_PIECE = re.compile(r"\s+|\w+|[^\w\s]")
_MOST = 2000  # pieces of one text: comparing is quadratic


class Piece(NamedTuple):
    """A part of both texts, or of one: `kept`, `removed` or `added`."""

    kind: str
    text: str


def pieces(before: str, after: str) -> list[Piece]:
    """Return the parts of both texts in order; very long ones are not compared."""
    old, new = _PIECE.findall(before), _PIECE.findall(after)
    if max(len(old), len(new)) > _MOST:
        return [Piece("removed", before), Piece("added", after)]
    found: list[Piece] = []
    for tag, start, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(Piece("kept", "".join(old[start:end])))
            continue
        found += [Piece("removed", "".join(old[start:end]))] if end > start else []
        found += [Piece("added", "".join(new[first:last]))] if last > first else []
    return found
