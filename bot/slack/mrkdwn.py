"""Our Markdown tree as Slack's mrkdwn: plain words stay plain words, nothing pings anybody, and only a `Link` is live.

Slack has no escape for its marks. A mark that could be read as one gets zero-width spaces around it: it marks nothing, whether Slack
takes these for spaces or for letters. Where that cannot help (a backtick, a mark inside emphasis) a look-alike takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple, TypeAlias
from urllib.parse import quote, urlsplit

from core.markup import Block, Break, Code, CodeBlock, Emphasis, Inline, Items, Link, Paragraph, Quote, Text
from core.text import fold

APART = "\u200b"  # parts what would be read as one
JOINER = "\u2060"  # the same where a line must not break
MAX_URL = 1500
MAX_LABEL = 300

_AT = re.compile(r"(?<![^\W_])[@\uff20\ufe6b](?=\S)")  # the @ of an e-mail address follows a letter and pings nobody
_PINGS = ("channel", "here", "everyone")
_PING_WINDOW = 64  # characters behind an @ in which the word must begin and end; more that is invisible breaks it by itself
_MARK = re.compile(r"(?<![^\W_])[*_~]|[*_~](?![^\W_])")  # one between two letters, as in snake_case, marks nothing
_MARKS = ("*", "_", "~")
_LOOKALIKE = {"*": "\u2217", "_": "\uff3f", "~": "\u223c"}
_QUOTE_START = re.compile(r"^([^\S\n]*)(?=>)", re.MULTILINE)
_HARD_IN_URL = str.maketrans({"&": "&amp;", "<": "%3C", ">": "%3E", "|": "%7C", "`": "%60", '"': "%22"})
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_WEB = re.compile(r"https?://[^\s\x00-\x1f\x7f/?#\\@\uff20\ufe6b]+(?:[/?#\\][^\s\x00-\x1f\x7f]*)?", re.IGNORECASE)
_NAMES_A_HOST = re.compile(r"[\w-]+\.[^\W\d_]{2,}")
_EDGES = re.compile("^([\\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*)(.*?)([\\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*)$", re.DOTALL)
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
        """Whether marks of Slack surround it."""
        return self.bold or self.italic or self.code


class Line(NamedTuple):
    """A line; `prefix` is mrkdwn already: indentation, a bullet, a quote."""

    prefix: str
    runs: tuple[Run, ...] = ()


class Prose(NamedTuple):
    """Lines that belong together; `gap` parts them from what stands before."""

    lines: tuple[Line, ...]
    gap: str


class Fence(NamedTuple):
    """Preformatted text. It stands alone: Slack knows no fence inside a list or a quote."""

    text: str
    gap: str


Piece: TypeAlias = Prose | Fence


def escape(text: str) -> str:
    """Return mrkdwn that shows exactly `text`: no ping, no mark, no quote, no address that Slack would make live."""
    return _escaped(_QUOTE_START.sub(rf"\1{JOINER}", _MARK.sub(_set_apart, text)))


def link(url: str, label: str) -> str:
    """Return a live link, or only the words where `url` is no http(s) address that Slack takes."""
    if not is_web(url):
        return escape(label)
    shown = _shorten(" ".join(label.split()), MAX_LABEL)
    address = _AT.sub(lambda at: quote(at.group()) if _pings(at) else at.group(), url).translate(_HARD_IN_URL)
    if not shown or label == url:
        return f"<{address}>"
    return f"<{address}|{_inside_marks(shown.replace('|', '│'))}>{escape(_real_host(url, label))}"


def is_web(url: str) -> bool:
    """Tell whether `url` can be a link in Slack; one with a user's name in it only looks as if it led elsewhere."""
    return bool(_WEB.fullmatch(url)) and len(url.translate(_HARD_IN_URL)) <= MAX_URL


def fence(code: str) -> str:
    """Return a code block; a fence inside it is broken, as Slack would end the block there."""
    return f"```\n{_quieted(code.replace('```', APART.join('```'))).translate(_ENTITIES)}\n```"


def to_plain(blocks: tuple[Block, ...]) -> str:
    """Return the words of the tree without any style, not escaped."""
    return "\n".join(
        "\n".join("".join(run.text for run in line.runs) for line in piece.lines) if isinstance(piece, Prose) else piece.text
        for piece in lay_out(blocks)
    )


def lay_out(blocks: tuple[Block, ...]) -> tuple[Piece, ...]:
    """Return the tree as pieces from top to bottom."""
    return tuple(piece for block in blocks for piece in _pieces(block, "", "", "\n\n"))


def line_text(line: Line) -> str:
    """Return a line as mrkdwn."""
    text, was_marked = "", False
    for style, runs in groupby(line.runs, key=lambda run: run._replace(text="")):
        run = style._replace(text="".join(run.text for run in runs))
        said = run_text(run)
        if (was_marked or run.is_marked) and text and said and not _are_apart(text[-1], said[0], was_marked, run.is_marked):
            text += APART
        text, was_marked = text + said, run.is_marked
    return line.prefix + text


def run_text(run: Run) -> str:
    """Return words of one style as mrkdwn; white space at their ends goes outside the marks, which Slack would else not read."""
    if not run.is_marked and not run.url:
        return escape(run.text)
    before, words, after = _EDGES.fullmatch(run.text).groups()  # type: ignore[union-attr]  # it matches everything
    if not words and not run.url:
        return run.text
    marks = "*" * run.bold + "_" * run.italic
    return f"{before}{marks}{_unstyled(run, words)}{marks[::-1]}{after}"


def _unstyled(run: Run, words: str) -> str:
    if run.url:
        return link(run.url, words or run.url)
    return _code(words) if run.code else _inside_marks(words)


def _pieces(block: Block, lead: str, rest: str, gap: str) -> Iterator[Piece]:
    """Yield a block; its first line begins with `lead`, the others with `rest`."""
    match block:
        case Paragraph(children, level):
            lines = _lines(tuple(_runs(children, Run("", bold=level > 0))))
            yield Prose(tuple(Line(rest if index else lead, line) for index, line in enumerate(lines)), gap)
        case CodeBlock(text):
            if lead != rest:  # the bullet of its item
                yield Prose((Line(lead),), gap)
            yield Fence(text, "\n" if lead != rest else gap)
        case Quote(blocks):
            # Slack knows a quote only at the start of a line, and no quote in a quote.
            mark = "&gt; " if rest or lead else "> "
            for index, inner in enumerate(blocks):
                yield from _pieces(inner, (rest if index else lead) + mark, rest + mark, "\n" if index else gap)
        case Items(items, start):
            for index, item in enumerate(items):
                marker = "• " if start is None else f"{start + index}. "
                yield from _item(item, (rest if index else lead) + marker, rest + "    ", "\n" if index else gap)


def _item(blocks: tuple[Block, ...], lead: str, rest: str, gap: str) -> Iterator[Piece]:
    if not blocks:
        yield Prose((Line(lead),), gap)
    for index, block in enumerate(blocks):
        yield from _pieces(block, rest if index else lead, rest, "\n" if index else gap)


def _runs(children: tuple[Inline, ...], style: Run) -> Iterator[Run | None]:
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
                yield from _runs(inner, style._replace(bold=True) if strong else style._replace(italic=True))
            case Link(inner, url):
                label = "".join(run.text if run else " " for run in _runs(inner, style))
                yield style._replace(text=label, url=url if is_web(url) else "")
                if not is_web(url) and label != url:
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
    """Tell whether Slack reads the marks between two neighbours without help."""
    if end.isspace() or start.isspace():
        return True
    return (end in _NEEDS_NO_GAP_BEFORE and not was_marked) or (start in _NEEDS_NO_GAP_AFTER and not is_marked)


def _escaped(text: str) -> str:
    return _quieted(text.replace("`", "ˋ").replace("://", f":{JOINER}//")).translate(_ENTITIES)


def _inside_marks(text: str) -> str:
    return _escaped(_MARK.sub(lambda mark: _LOOKALIKE[mark.group()], text))


def _code(text: str) -> str:
    return "`" + _quieted(text.replace("`", "ˋ")).translate(_ENTITIES) + "`"


def _set_apart(mark: re.Match[str]) -> str:
    before, after = mark.string[max(0, mark.start() - 1) : mark.start()], mark.string[mark.end() : mark.end() + 1]
    if (not before or before.isspace()) and after.isspace():
        return mark.group()
    return APART * (before not in _MARKS) + mark.group() + APART


def _quieted(text: str) -> str:
    """Break @channel, @here and @everyone, in whatever letters they hide."""
    return _AT.sub(lambda at: at.group() + JOINER * _pings(at), text)


def _pings(at: re.Match[str]) -> bool:
    return fold(at.string[at.end() : at.end() + _PING_WINDOW]).lower().startswith(_PINGS)


def _real_host(url: str, label: str) -> str:
    """What stands behind words that name a host themselves: nobody may think that the link leads there."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    named = _NAMES_A_HOST.findall(fold(label).lower())
    return f" ({host})" if host and any(name not in host for name in named) else ""


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
