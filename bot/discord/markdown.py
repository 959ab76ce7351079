"""Our Markdown tree as Discord's: plain words stay plain words, nothing pings anybody, and only a `Link` is live.

Discord reads a backslash as an escape nearly everywhere. Where it does not (mentions, time stamps, emoji, commands, all of which
begin with `<` or `@`) a zero-width space parts what would be read as one.
"""

from __future__ import annotations

import re
import unicodedata

from core.markup import Block, Break, Code, CodeBlock, Emphasis, Inline, Items, Link, Paragraph, Quote, Text

APART = "\u200b"
MAX_MESSAGE = 1900  # Discord takes 2,000; the rest is for a fence that is closed and opened again, and for the sources
MAX_URL = 1000

_MARK = re.compile(r"[\\*_~`|\[\]()]")
_BLOCK_START = re.compile(r"(?m)^(\s*)(#{1,3}(?=\s)|>|-#?(?=\s)|\d{1,9}\.(?=\s))")
_AT = re.compile(r"[@\uff20\ufe6b]")
_ADDRESS = re.compile(r"(https?|discord|steam)(?=:)", re.IGNORECASE)
_FENCE = "```"


def to_discord(blocks: tuple[Block, ...]) -> str:
    """Return the tree as Discord shows it."""
    return "\n".join(_block(block) for block in blocks)


def to_plain(text: str) -> str:
    """Return words that may stand anywhere: no mark, no mention and no address in them is live."""
    text = "".join(one for one in unicodedata.normalize("NFC", text) if one == "\n" or unicodedata.category(one) not in ("Cc", "Cs"))
    text = _MARK.sub(r"\\\g<0>", text)
    text = _BLOCK_START.sub(r"\1\\\2", text)
    text = _AT.sub(lambda at: at[0] + APART, text).replace("<", "<" + APART)
    return _ADDRESS.sub(lambda scheme: scheme[0] + APART, text)


def split(text: str, limit: int = MAX_MESSAGE) -> tuple[str, ...]:
    """Return `text` in parts of at most `limit` characters, parted between paragraphs or lines where that is possible.

    A fence that a part ends in is closed there and opened again in the next one.
    """
    parts: list[str] = []
    part, fence = "", ""
    for line in _lines(text, limit - 2 * len(_FENCE) - 20):
        closing = f"\n{_FENCE}" if fence else ""
        if part and len(part) + 1 + len(line) + len(closing) + len(_FENCE) > limit:
            parts.append(part + closing)
            part = fence
        part = f"{part}\n{line}" if part else line
        if line.lstrip().startswith(_FENCE):
            fence = "" if fence else line.strip()[:20]
    return tuple(one for one in (*parts, part) if one.strip(APART + "\n `") or (_FENCE not in one and one.strip()))


def _lines(text: str, limit: int) -> list[str]:
    """Lines of at most `limit` characters; a longer one is cut between words, and within one that is longer itself."""
    lines: list[str] = []
    for line in text.split("\n"):
        rest = line
        while len(rest) > limit:
            at = rest.rfind(" ", limit // 2, limit)
            at = at if at > 0 else limit - (1 if rest[limit - 1] == "\\" else 0)
            lines.append(rest[:at])
            rest = rest[at:].lstrip(" ")
        lines.append(rest)
    return lines


def _block(block: Block) -> str:
    match block:
        case Paragraph(children, level):
            words = _inlines(children)
            return f"**{words}**" if level and words else words
        case CodeBlock(text, language):
            name = language if re.fullmatch(r"[\w+#-]{1,15}", language) else ""
            return f"{_FENCE}{name}\n{_defused(text)}\n{_FENCE}"
        case Quote(blocks):
            return "\n".join(f"> {line}" for line in to_discord(blocks).split("\n"))
        case Items(items, start):
            return "\n".join(_item(item, None if start is None else start + n) for n, item in enumerate(items))


def _item(item: tuple[Block, ...], number: int | None) -> str:
    marker = "- " if number is None else f"{number}. "
    return marker + to_discord(item).replace("\n", "\n" + " " * len(marker))


def _inlines(children: tuple[Inline, ...]) -> str:
    return "".join(_inline(child) for child in children)


def _inline(child: Inline) -> str:
    match child:
        case Text(text):
            return to_plain(text)
        case Code(text):
            return f"`{_defused(text).replace('`', APART + chr(0x2CB))}`" if text.strip() else ""
        case Emphasis(inner, strong):
            mark = "**" if strong else "*"
            words = _inlines(inner)
            return f"{mark}{words}{mark}" if words.strip() else words
        case Link(inner, url):
            return link(url, _inlines(inner) if inner != (Text(url),) else "")
        case Break():
            return "\n"


def link(url: str, label: str) -> str:
    """Return a live link without a preview; one that cannot be written safely is shown as code."""
    address = url.replace(" ", "%20").replace("(", "%28").replace(")", "%29").replace("<", "%3C").replace(">", "%3E")
    if len(address) > MAX_URL or "@" in address.partition("://")[2].partition("/")[0]:
        return f"`{_defused(url)[:MAX_URL].replace('`', '')}`"
    return f"[{label}](<{address}>)" if label else f"<{address}>"


def _defused(code: str) -> str:
    """Code in which no fence ends the one around it."""
    return code.replace(_FENCE, "`" + APART + "`" + APART + "`")
