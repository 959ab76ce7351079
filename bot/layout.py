"""Our Markdown tree as lines of styled words, the same for every chat platform; how each of them marks the styles is its `Syntax`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeAlias

from core.markup import Block, Break, Code, CodeBlock, Emphasis, Inline, Items, Link, Paragraph, Quote, Text

APART = "\u200b"  # parts what would be read as one
MAX_LABEL = 300

_EDGES = re.compile("^([\\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*)(.*?)([\\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*)$", re.DOTALL)
_FENCE = re.compile(r"`{3,}")
_NEEDS_NO_GAP_BEFORE, _NEEDS_NO_GAP_AFTER = "([{\"'", ".,;:!?)]}\"'"


class Run(NamedTuple):
    """Words of one style."""

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    url: str = ""

    @property
    def is_marked(self) -> bool:
        """Whether marks surround it."""
        return self.bold or self.italic or self.code


class Line(NamedTuple):
    """A line; `prefix` is the platform's syntax already: indentation, a bullet, a quote."""

    prefix: str
    runs: tuple[Run, ...] = ()


class Prose(NamedTuple):
    """Lines that belong together; `gap` parts them from what stands before."""

    lines: tuple[Line, ...]
    gap: str


class Fence(NamedTuple):
    """Preformatted text. It stands alone: no platform knows a fence inside a list and a quote alike."""

    text: str
    gap: str
    language: str = ""


Piece: TypeAlias = Prose | Fence


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a platform writes what it shows."""

    bullet: str
    inner_quote: str  # shown where a quote cannot begin: inside a list or a quote
    bold: str
    italic: str
    plain: Callable[[str], str]  # words that stay words
    marked: Callable[[str], str]  # words inside of marks
    code: Callable[[str], str]
    fence: Callable[[str, str], str]  # text, language
    link: Callable[[str, str], str]  # address, words
    is_live: Callable[[str], bool]  # whether an address can be a link
    end_in_code: str = ""  # characters that end a style even inside code: code that has one goes without
    begin: Callable[[str], str] = str  # makes of a line's text what does not begin a block


def lay_out(blocks: tuple[Block, ...], syntax: Syntax) -> tuple[Piece, ...]:
    """Return the tree as pieces from top to bottom."""
    return tuple(piece for block in blocks for piece in _pieces(block, syntax, "", "", "\n\n"))


def to_text(blocks: tuple[Block, ...], syntax: Syntax) -> str:
    """Return the tree as one text, however long."""
    texts = [(piece.gap, "\n".join(line_text(line, syntax) for line in piece.lines) if isinstance(piece, Prose)
              else syntax.fence(piece.text, piece.language)) for piece in lay_out(blocks, syntax)]  # fmt: skip
    return "".join(gap * (index > 0) + text for index, (gap, text) in enumerate(texts))


def to_words(blocks: tuple[Block, ...], syntax: Syntax) -> str:
    """Return the words of the tree without any style, not escaped."""
    return "\n".join(
        "\n".join("".join(run.text for run in line.runs) for line in piece.lines) if isinstance(piece, Prose) else piece.text
        for piece in lay_out(blocks, syntax)
    )


def line_text(line: Line, syntax: Syntax) -> str:
    """Return a line as the platform reads it."""
    text, was_marked = "", False
    for style, runs in groupby(line.runs, key=lambda run: run._replace(text="")):
        run = style._replace(text="".join(run.text for run in runs))
        said = run_text(run, syntax)
        if (was_marked or run.is_marked) and text and said and not _are_apart(text[-1], said[0], was_marked, run.is_marked):
            text += APART
        text, was_marked = text + said, run.is_marked
    return line.prefix + syntax.begin(text)


def run_text(run: Run, syntax: Syntax) -> str:
    """Return words of one style; white space at their ends goes outside the marks, which would else not be read."""
    if not run.is_marked and not run.url:
        return syntax.plain(run.text)
    before, words, after = _EDGES.fullmatch(run.text).groups()  # type: ignore[union-attr]  # it matches everything
    if not words and not run.url:
        return run.text
    is_broken = run.code and any(mark in words for mark in syntax.end_in_code)
    marks = "" if is_broken else syntax.bold * run.bold + syntax.italic * run.italic
    return f"{before}{marks}{_unstyled(run, words, syntax)}{marks[::-1]}{after}"


def shorten(text: str, limit: int) -> str:
    """Return `text` in at most `limit` characters, with an ellipsis where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def unfenced(code: str) -> str:
    """Return code in which no fence ends the one around it."""
    return _FENCE.sub(lambda ticks: APART.join(ticks.group()), code)


def _unstyled(run: Run, words: str, syntax: Syntax) -> str:
    if run.url:
        return syntax.link(run.url, words or run.url)
    return syntax.code(words) if run.code else syntax.marked(words)


def _pieces(block: Block, syntax: Syntax, lead: str, rest: str, gap: str) -> Iterator[Piece]:
    """Yield a block; its first line begins with `lead`, the others with `rest`."""
    match block:
        case Paragraph(children, level):
            lines = _lines(tuple(_runs(children, Run("", bold=level > 0), syntax)))
            yield Prose(tuple(Line(rest if index else lead, line) for index, line in enumerate(lines)), gap)
        case CodeBlock(text, language):
            if lead != rest:  # the bullet of its item
                yield Prose((Line(lead),), gap)
            yield Fence(text, "\n" if lead != rest else gap, language)
        case Quote(blocks):
            # A quote is known only at the start of a line, and no quote in a quote.
            mark = syntax.inner_quote if rest or lead else "> "
            for index, inner in enumerate(blocks):
                yield from _pieces(inner, syntax, (rest if index else lead) + mark, rest + mark, "\n" if index else gap)
        case Items(items, start):
            for index, item in enumerate(items):
                marker = syntax.bullet if start is None else f"{start + index}. "
                yield from _item(item, syntax, (rest if index else lead) + marker, rest + "    ", "\n" if index else gap)


def _item(blocks: tuple[Block, ...], syntax: Syntax, lead: str, rest: str, gap: str) -> Iterator[Piece]:
    if not blocks:
        yield Prose((Line(lead),), gap)
    for index, block in enumerate(blocks):
        yield from _pieces(block, syntax, rest if index else lead, rest, "\n" if index else gap)


def _runs(children: tuple[Inline, ...], style: Run, syntax: Syntax) -> Iterator[Run | None]:
    """Yield the words in order, None for a line break."""
    for child in children:
        match child:
            case Text(text):
                yield style._replace(text=text)
            case Code(text):
                yield style._replace(text=text, code=True)
            case Break():
                yield None
            case Emphasis(inner, strong):
                yield from _runs(inner, style._replace(bold=True) if strong else style._replace(italic=True), syntax)
            case Link(inner, url):
                yield from _linked(inner, url, style, syntax)


def _linked(inner: tuple[Inline, ...], url: str, style: Run, syntax: Syntax) -> Iterator[Run]:
    label = "".join(run.text if run else " " for run in _runs(inner, style, syntax))
    is_live = syntax.is_live(url)
    yield style._replace(text=label, url=url if is_live else "")
    if not is_live and label != url:
        yield style._replace(text=" ")
        yield style._replace(text=url, code=True)


def _lines(runs: tuple[Run | None, ...]) -> list[tuple[Run, ...]]:
    lines: list[list[Run]] = [[]]
    for run in runs:
        if run is None:
            lines.append([])
        elif run.text or run.url:
            lines[-1].append(run)
    return [tuple(line) for line in lines]


def _are_apart(end: str, start: str, was_marked: bool, is_marked: bool) -> bool:
    """Tell whether the marks between two neighbours are read without help."""
    if end.isspace() or start.isspace():
        return True
    return (end in _NEEDS_NO_GAP_BEFORE and not was_marked) or (start in _NEEDS_NO_GAP_AFTER and not is_marked)
