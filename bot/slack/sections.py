"""A tree of any length as texts that Slack takes: split between paragraphs if it can be, and never inside a link, a mark or an entity."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bot.slack.mrkdwn import MAX_LABEL, Fence, Line, Piece, Run, escape, fence, lay_out, line_text, run_text
from core.markup import Block

MAX_SECTION = 3000

_WORD = re.compile(r"\s*\S+|\s+")
_LONGEST_WORD = 400  # written out at most five times as long: 2,000
_SPARE = 4  # zero-width spaces that a word may get from its neighbours


class Sections(NamedTuple):
    """Texts of at most `MAX_SECTION` characters each; `was_cut`: there was more than was asked for."""

    texts: tuple[str, ...]
    was_cut: bool


def size(text: str) -> int:
    """Return the length of `text` in UTF-16 units: whichever way Slack counts, it counts no more."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(text: str, limit: int) -> str:
    """Return `text` escaped, in at most `limit` characters, with an ellipsis where it was cut."""
    escaped, kept = escape(text), min(len(text), limit)
    while size(escaped) > limit:
        kept = kept * limit // (size(escaped) + limit // 20 + 1)  # near the limit after one or two rounds
        escaped = escape(text[:kept].rstrip() + "…")
    return escaped


def shorten(text: str, limit: int) -> str:
    """Return `text` as it is, in at most `limit` characters; for fields that Slack shows without reading any marks."""
    if size(text) <= limit:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * (limit - 1)]
    return kept.decode("utf-16-le", "ignore").rstrip() + "…"


def sections(blocks: tuple[Block, ...], limit: int) -> Sections:
    """Return the tree as texts for section blocks, all together at most `limit` characters long."""
    texts: list[str] = []
    for text in _packed(blocks):
        limit -= size(text)
        if limit < 0:
            return Sections(tuple(texts), was_cut=True)
        if text.strip():
            texts.append(text)
    return Sections(tuple(texts), was_cut=False)


def _packed(blocks: tuple[Block, ...]) -> Iterator[str]:
    """Yield as much as one section holds, again and again."""
    packed = ""
    for piece in lay_out(blocks):
        for index, text in enumerate(_split(piece)):
            joined = packed + ("\n" if index else piece.gap) + text if packed else text
            if size(joined) > MAX_SECTION:
                yield packed
                joined = text
            packed = joined
    if packed:
        yield packed


def _split(piece: Piece) -> Iterator[str]:
    """Yield a piece whole, or in parts when no section can hold it; each part of a code block is a code block."""
    if isinstance(piece, Fence):
        lines = [part for line in piece.text.split("\n") for part in _slices(line)]
        yield from (fence(text) for text in _grouped(lines, lambda text: size(fence(text))))
    else:
        lines = [line_text(part) for line in piece.lines for part in _broken(line)]
        yield from _grouped(lines, size)


def _grouped(lines: list[str], measure: Callable[[str], int]) -> Iterator[str]:
    whole = "\n".join(lines)
    if measure(whole) <= MAX_SECTION:
        yield whole
        return
    group = lines[0]
    for line in lines[1:]:
        if measure(f"{group}\n{line}") > MAX_SECTION:
            yield group
            group = line
        else:
            group = f"{group}\n{line}"
    yield group


def _broken(line: Line) -> Iterator[Line]:
    """Yield a line whole, or in parts when no section can hold it."""
    if size(line_text(line)) <= MAX_SECTION:
        yield line
        return
    part, cost, prefix = list[Run](), size(line.prefix), line.prefix
    for word in (word for run in line.runs for word in _words(run)):
        more = size(run_text(word)) + _SPARE
        if cost + more > MAX_SECTION:
            yield Line(prefix, tuple(part))
            prefix = "> " if line.prefix.startswith("> ") else ""
            part, cost = [], size(prefix)
        part.append(word)
        cost += more
    yield Line(prefix, tuple(part))


def _words(run: Run) -> Iterator[Run]:
    """Yield a run word by word; a link is never split, its words are shortened."""
    if run.url:
        yield run._replace(text=shorten(run.text, MAX_LABEL)) if run.text != run.url else run
        return
    for word in _WORD.findall(run.text):
        for part in _slices(word):
            yield run._replace(text=part)


def _slices(text: str) -> list[str]:
    return [text[start : start + _LONGEST_WORD] for start in range(0, len(text), _LONGEST_WORD)] or [""]
