"""Our own Markdown tree: what an answer may contain, and nothing else.

Images become their caption, HTML stays visible text, and a link survives only when its address is one of the allowed ones; any
other becomes code, so that a reader sees it and no surface makes it live. Each surface renders this tree in its own syntax.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

URL = re.compile(r"https?://[^\s<>\"'`\]]*[^\s<>\"'`\].,;:!?)]", re.IGNORECASE)

# What would be read as a mark inside a line: ticks, stars, brackets that make a link or define one, entities, e-mail in <>.
_SPECIAL = re.compile(r"[`*]|(?<=\])[(:\[]|\\(?=[!-/:-@\[-`{-~]|\Z)|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|<(?=[^\s<>]*[:@])")
# What would make a line of words a heading, a list, a quote, a rule or a fence.
_BLOCK_START = re.compile(r"(?m)^(\s*(?:\d{1,9}(?=[.)](?:\s|$)))?)((?<=\d)[.)]|#(?=#{0,5}(?:\s|$))|>|[-+](?=\s|$)|[-=](?=[-= ]*$)|~(?=~~))")


@dataclass(frozen=True, slots=True)
class Text:
    """Plain words."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Words to be shown exactly as they are."""

    text: str


@dataclass(frozen=True, slots=True)
class Emphasis:
    """Stressed words; `strong` is bold."""

    children: tuple[Inline, ...]
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead to an allowed address."""

    children: tuple[Inline, ...]
    url: str


@dataclass(frozen=True, slots=True)
class Break:
    """A line break inside a paragraph."""


Inline: TypeAlias = Text | Code | Emphasis | Link | Break


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `level` above 0 makes it a heading."""

    children: tuple[Inline, ...]
    level: int = 0


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Preformatted lines."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """Quoted blocks."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list; `start` is the first number of an ordered one, None for bullets."""

    items: tuple[tuple[Block, ...], ...]
    start: int | None = None


Block: TypeAlias = Paragraph | CodeBlock | Quote | Items


def urls(text: str) -> frozenset[str]:
    """Return every http(s) address written in `text`."""
    return frozenset(URL.findall(text))


def parse(markdown: str, allowed: Collection[str] = ()) -> tuple[Block, ...]:
    """Return the tree of `markdown`, with links only to the `allowed` addresses."""
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20})
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]  # escaping would make an address differ from the allowed one
    root = SyntaxTreeNode(parser.parse(markdown))
    return tuple(_blocks(root, frozenset(allowed)))


def to_markdown(blocks: tuple[Block, ...]) -> str:
    """Return the tree as Markdown again."""
    return "\n\n".join(_block_markdown(block) for block in blocks)


def _blocks(node: SyntaxTreeNode, allowed: frozenset[str]) -> Iterator[Block]:
    for child in node.children:
        match child.type:
            case "paragraph":
                yield Paragraph(tuple(_inlines(child, allowed)))
            case "heading":
                yield Paragraph(tuple(_inlines(child, allowed)), level=int(child.tag[1:]))
            case "fence" | "code_block":
                yield CodeBlock(child.content.rstrip("\n"), child.info.split()[0] if child.info.split() else "")
            case "blockquote":
                yield Quote(tuple(_blocks(child, allowed)))
            case "bullet_list":
                yield Items(tuple(tuple(_blocks(item, allowed)) for item in child.children))
            case "ordered_list":
                start = int(child.attrs.get("start", 1))
                yield Items(tuple(tuple(_blocks(item, allowed)) for item in child.children), start)


def _inlines(node: SyntaxTreeNode, allowed: frozenset[str]) -> Iterator[Inline]:
    for child in node.children:
        match child.type:
            case "inline":
                yield from _inlines(child, allowed)
            case "text" | "html_inline":
                yield from _text(child.content, allowed)
            case "code_inline":
                yield Code(child.content)
            case "strong" | "em":
                yield Emphasis(tuple(_inlines(child, allowed)), strong=child.type == "strong")
            case "link":
                yield from _link(child, allowed)
            case "image":
                yield Text(child.content)
            case "softbreak" | "hardbreak":
                yield Break()


def _link(node: SyntaxTreeNode, allowed: frozenset[str]) -> Iterator[Inline]:
    url = str(node.attrs.get("href", ""))
    children = tuple(_inlines(node, frozenset()))
    shown = "".join(child.text for child in children if isinstance(child, Text | Code))
    if url in allowed:
        yield Link((Text(url),) if shown == url else children, url)
        return
    if shown and shown != url:
        yield Text(shown + " ")
    yield Code(url)


def _text(text: str, allowed: frozenset[str]) -> Iterator[Inline]:
    position = 0
    for found in URL.finditer(text):
        if found.start() > position:
            yield Text(text[position : found.start()])
        url = found.group()
        yield Link((Text(url),), url) if url in allowed else Code(url)
        position = found.end()
    if position < len(text):
        yield Text(text[position:])


def _block_markdown(block: Block) -> str:
    match block:
        case Paragraph(children, level):
            return "#" * level + (" " if level else "") + _inline_markdown(children)
        case CodeBlock(text, language):
            fence = _fence(text, 3)
            return f"{fence}{language}\n{text}\n{fence}"
        case Quote(blocks):
            return "\n".join(f"> {line}".rstrip() for line in to_markdown(blocks).split("\n"))
        case Items(items, start):
            return "\n".join(_item_markdown(item, None if start is None else start + n) for n, item in enumerate(items))


def _item_markdown(item: tuple[Block, ...], number: int | None) -> str:
    marker = "- " if number is None else f"{number}. "
    return marker + to_markdown(item).replace("\n", "\n" + " " * len(marker))


def _inline_markdown(children: tuple[Inline, ...]) -> str:
    text = "".join(_one_inline_markdown(child) for child in children)
    return _BLOCK_START.sub(r"\1\\\2", text)


def _one_inline_markdown(child: Inline) -> str:
    match child:
        case Text(text):
            return _SPECIAL.sub(r"\\\g<0>", text)
        case Code(text):
            ticks = _fence(text, 1)
            pad = " " if text.startswith("`") or text.endswith("`") else ""
            return f"{ticks}{pad}{text}{pad}{ticks}"
        case Emphasis(inner, strong):
            mark = "**" if strong else "*"
            return mark + _inline_markdown(inner) + mark
        case Link(inner, url):
            return f"<{url}>" if inner == (Text(url),) else f"[{_inline_markdown(inner)}](<{url}>)"
        case Break():
            return "\n"


def _fence(text: str, shortest: int) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(shortest, longest + 1)
