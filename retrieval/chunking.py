"""Markdown and HTML to passages: one per heading, split at 220 words, the heading path kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise

from markdown_it import MarkdownIt

from core.domain import Passage
from core.text import UNSPACED, clean, says_something
from retrieval.problems import BadRowError

MAX_WORDS = 220
_MAX_ID = 200
_FRONT_MATTER = re.compile(r"\A---\n(?=[\w-]+:).*?\n---\n", re.DOTALL)  # without a key it is a rule above text
_DROPPED_TAGS = ("script", "style", "noscript", "template", "nav", "footer", "header", "aside", "form", "svg", "iframe", "img")
_SENTENCE_END = re.compile(r"(?<=[.!?]\s)|(?<=[。！？])")
# What counts as a word: two characters of a script without spaces, at most 40 of any other; with the space behind it.
_WORD = re.compile(rf"(?:[{UNSPACED}]{{1,2}}|[^\s{UNSPACED}]{{1,40}})\s*")


@dataclass(frozen=True, slots=True)
class _Section:
    path: tuple[str, ...]
    body: str


def markdown_passages(document_id: str, text: str, url: str | None = None) -> Iterator[Passage]:
    """Yield the passages of a Markdown document; ids are `document_id#heading`, numbered where they repeat."""
    used: set[str] = set()
    for section in _sections(_FRONT_MATTER.sub("", clean(text) + "\n"), fallback=document_id):
        for piece in _pieces(section.body):
            yield Passage(
                passage_id=_passage_id(document_id, _slug(section.path[-1]), used),
                document_id=document_id,
                title=" > ".join(section.path),
                text=piece,
                url=url,
                curated=False,
            )


def html_to_markdown(html: str) -> tuple[str, str | None]:
    """Return an HTML page as Markdown and its canonical address; scripts, navigation and images are dropped."""
    from bs4 import BeautifulSoup  # part of the extra `documents`
    from markdownify import MarkdownConverter

    page = BeautifulSoup(html + "\n", "html.parser")  # without a line end it warns of a text that could be an address
    canonical = page.find("link", rel="canonical")
    address = str(canonical.get("href") or "") if canonical else ""
    title = clean(page.title.get_text()) if page.title else ""
    for tag in page([*_DROPPED_TAGS, "title"]):
        if tag.name != "header" or not tag.find("h1"):  # a header that holds the title belongs to the text
            tag.decompose()
    body = page.find("main") or page.find("article") or page.body or page
    try:
        markdown = str(MarkdownConverter(heading_style="ATX").convert_soup(body))
    except RecursionError as error:
        raise BadRowError("is nested too deep") from error
    has_heading = re.search(r"^#+ ", markdown, re.MULTILINE)
    lead = "" if has_heading or not title else f"# {title}\n\n"
    return lead + markdown, address if address.startswith(("http://", "https://")) else None


def _sections(text: str, fallback: str) -> Iterator[_Section]:
    lines = text.split("\n")
    path: list[tuple[int, str]] = []
    start = 0
    for level, title, first, last in [*_headings(text), (0, "", len(lines), len(lines))]:
        body = "\n".join(lines[start:first]).strip()
        if says_something(body):
            yield _Section(tuple(name for _, name in path) or (fallback,), body)
        path = [(depth, name) for depth, name in path if depth < level] + [(level, title)]
        start = last


def _headings(text: str) -> Iterator[tuple[int, str, int, int]]:
    """Yield (level, title, first line, line after) of each heading; '#' inside code is none."""
    tokens = MarkdownIt("commonmark").parse(text)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map and inline.children is not None:
            title = "".join(child.content for child in inline.children)
            first, last = opening.map
            yield int(opening.tag[1:]), title.strip() or "untitled", first, last


def _pieces(body: str) -> Iterator[str]:
    """Yield parts of at most `MAX_WORDS` words, cut between blocks, then sentences, then words."""
    part: list[str] = []
    size = 0
    for block in _blocks(body):
        length = _length(block)
        if part and size + length > MAX_WORDS:
            yield "\n\n".join(part)
            part, size = [], 0
        part.append(block)
        size += length
    if part:
        yield "\n\n".join(part)


def _blocks(body: str) -> Iterator[str]:
    for block in _paragraphs(body):
        if _length(block) <= MAX_WORDS:
            yield block
        else:
            yield from _fitting(_SENTENCE_END.split(block))


def _paragraphs(body: str) -> Iterator[str]:
    """Yield blocks separated by empty lines; a fenced code block stays whole."""
    block: list[str] = []
    fence = ""
    for line in [*body.split("\n"), ""]:
        marker = re.match(r"\s*(```+|~~~+)", line)
        if marker:
            fence = "" if fence and line.strip().startswith(fence) else fence or marker.group(1)
        if line.strip() or fence:
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []
    if block:
        yield "\n".join(block)


def _fitting(sentences: list[str]) -> Iterator[str]:
    part: list[str] = []
    for sentence in sentences:
        words = _WORD.findall(sentence)
        if part and len(part) + len(words) > MAX_WORDS:
            yield "".join(part).strip()
            part = []
        part += words
        while len(part) > MAX_WORDS:
            yield "".join(part[:MAX_WORDS]).strip()
            part = part[MAX_WORDS:]
    if part:
        yield "".join(part).strip()


def _length(text: str) -> int:
    return sum(1 for _ in _WORD.finditer(text))


def _passage_id(document_id: str, anchor: str, used: set[str]) -> str:
    """Return `document_id#anchor`, numbered until it is a new one and shortened by a hash when too long; adds it to `used`."""
    numbered = (f"{anchor}-{number}" if number > 1 else anchor for number in count(1))
    fresh = next(name for name in numbered if name not in used)
    used.add(fresh)
    passage_id = f"{document_id}#{fresh}"
    if len(passage_id) <= _MAX_ID:
        return passage_id
    return f"{passage_id[: _MAX_ID - 13]}-{hashlib.sha256(passage_id.encode()).hexdigest()[:12]}"


def _slug(title: str) -> str:
    return re.sub(r"[\W_]+", "-", title.lower()).strip("-")[:80] or "section"
