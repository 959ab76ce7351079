"""A tree of any length as texts of a platform's length: split between paragraphs if it can be, and never inside a link or a mark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from bot.layout import MAX_LABEL, Fence, Line, Piece, Run, Syntax, lay_out, line_text, run_text
from core.markup import Block

_WORD = re.compile(r"\s*\S+|\s+")
_LONGEST_WORD = 400  # written out at most five times as long
_SPARE = 4  # zero-width spaces that a word may get from its neighbours


def size(text: str) -> int:
    """Return the length of `text` in UTF-16 units: whichever way a platform counts, it counts no more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """Return `text` as it is, in at most `limit` UTF-16 units, with an ellipsis where it was cut."""
    if size(text) <= limit:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * (limit - 1)]
    return kept.decode("utf-16-le", "ignore").rstrip() + "…"


def fitted(text: str, limit: int, escape: Callable[[str], str]) -> str:
    """Return `text` escaped, in at most `limit` characters, with an ellipsis where it was cut."""
    escaped, kept = escape(text), min(len(text), limit)
    while size(escaped) > limit:
        kept = kept * limit // (size(escaped) + limit // 20 + 1)  # near the limit after one or two rounds
        escaped = escape(text[:kept].rstrip() + "…")
    return escaped


def parted(blocks: tuple[Block, ...], syntax: Syntax, limit: int) -> Iterator[str]:
    """Yield the tree in texts of at most `limit` characters, each as full as it can be; `limit` is 1,200 at least."""
    packed = ""
    for piece in lay_out(blocks, syntax):
        for index, text in enumerate(_split(piece, syntax, limit)):
            joined = packed + ("\n" if index else piece.gap) + text if packed else text
            if size(joined) > limit:
                yield packed
                joined = text
            packed = joined
    if packed:
        yield packed


def _split(piece: Piece, syntax: Syntax, limit: int) -> Iterator[str]:
    """Yield a piece whole, or in parts when no text can hold it; each part of a code block is a code block."""
    if isinstance(piece, Fence):
        language = piece.language
        lines = [part for line in piece.text.split("\n") for part in _slices(line)]
        yield from (syntax.fence(text, language) for text in _grouped(lines, lambda text: size(syntax.fence(text, language)), limit))
    else:
        lines = [line_text(part, syntax) for line in piece.lines for part in _broken(line, syntax, limit)]
        yield from _grouped(lines, size, limit)


def _grouped(lines: list[str], measure: Callable[[str], int], limit: int) -> Iterator[str]:
    whole = "\n".join(lines)
    if measure(whole) <= limit:
        yield whole
        return
    group = lines[0]
    for line in lines[1:]:
        if measure(f"{group}\n{line}") > limit:
            yield group
            group = line
        else:
            group = f"{group}\n{line}"
    yield group


def _broken(line: Line, syntax: Syntax, limit: int) -> Iterator[Line]:
    """Yield a line whole, or in parts when no text can hold it."""
    if size(line_text(line, syntax)) <= limit:
        yield line
        return
    part, cost, prefix = list[Run](), size(line.prefix), line.prefix
    for word in (word for run in line.runs for word in _words(run)):
        more = size(run_text(word, syntax)) + _SPARE
        if cost + more > limit:
            yield Line(prefix, tuple(part))
            prefix = "> " if line.prefix.startswith("> ") else ""
            part, cost = [], size(prefix)
        part.append(word)
        cost += more
    yield Line(prefix, tuple(part))


def _words(run: Run) -> Iterator[Run]:
    """Yield a run word by word; a link is never split, its words are shortened."""
    if run.url:
        yield run._replace(text=cut(run.text, MAX_LABEL)) if run.text != run.url else run
        return
    for word in _WORD.findall(run.text):
        for part in _slices(word):
            yield run._replace(text=part)


def _slices(text: str) -> list[str]:
    return [text[start : start + _LONGEST_WORD] for start in range(0, len(text), _LONGEST_WORD)] or [""]
