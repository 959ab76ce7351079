"""What Discord would make of a content, written from the rules of its clients and not from our renderer: what is live, what is styled."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

ESCAPE = re.compile(r"\\([^0-9A-Za-z\s])")
BLOCK = re.compile(r" *(#{1,3}\s|-#\s|[-*] |\d+\. |>>> |> )")
BLOCK_STYLES = {"#": "h", "-#": "u", "-": "l", "*": "l", ">>>": "q", ">": "q"}
FENCE = re.compile(r"```(?:([a-z0-9_+\-.#]+?)\n)?\n*([^\n][\s\S]*?)\n*```", re.IGNORECASE)
CODE = re.compile(r"(`+)([\s\S]*?[^`])\1(?!`)")
TOKENS = re.compile(
    r"<(?:@[!&]?\d+|#\d+|a?:\w+:\d+|t:-?\d{1,17}(?::[tTdDfFRsS])?|id:\w+(?::\d+)?"
    r"|/[-_\w]+(?: [-_\w]+){0,2}:\d+|[^\s@<>]+@[^\s<>]+\.[^\s<>]+"
    r"|\+?\d[\d\s-]{6,})>"
)
AUTOLINK = re.compile(r"<((?:https?|steam|discord)://[^\s>]+)>", re.IGNORECASE)
BARE = re.compile(r"(?:https?|steam|discord)://[^\s<]+|(?:discord\.(?:gg|gift|new)|discord(?:app)?\.com/\w+)/\w+", re.IGNORECASE)
MASKED = re.compile(r"\[((?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*)\]\(\s*(<?)((?:\([^)]*\)|[^\s\\]|\\.)*?)(>?)\s*\)")
SCHEME = re.compile(r"[a-z][\w+.-]*:", re.IGNORECASE)
MARKS = {  # in the order in which they are tried
    "*": [("i", re.compile(r"\*(?=\S)((?:\*\*|\\[\s\S]|\s+(?:\\[\s\S]|[^\s*\\]|\*\*)|[^\s*\\])+?)\*(?!\*)")),
          ("b", re.compile(r"\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)"))],
    "_": [("i", re.compile(r"\b_((?:__|\\[\s\S]|[^\\_])+?)_\b")), ("n", re.compile(r"__((?:\\[\s\S]|[^\\])+?)__(?!_)"))],
    "~": [("s", re.compile(r"~~([\s\S]+?)~~(?!_)"))],
    "|": [("p", re.compile(r"\|\|([\s\S]+?)\|\|"))],
}  # fmt: skip
LOUD = re.compile(r"@(?:everyone|here)|<@[!&]?\d+>", re.IGNORECASE)
SPECIAL = re.compile(r"[\\`<\[*_~|hsd\n]", re.IGNORECASE)


@dataclass
class Shown:
    """Characters with their styles (b, i, n for underlined, s, p for a spoiler, c, f, and h, u, l, q for lines), and what is live."""

    characters: list[tuple[str, str]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)  # mentions, emoji, time stamps, commands
    previews: list[str] = field(default_factory=list)  # addresses that are live without < >, which Discord shows a page of

    @property
    def text(self) -> str:
        return "".join(character for character, _ in self.characters)

    @property
    def open_fence(self) -> bool:
        return "```" in "".join(character if "c" not in styles and "x" not in styles else " " for character, styles in self.characters)

    def styles(self) -> set[str]:
        return {style for _, styles in self.characters for style in styles} - {"x"}


def show(content: str) -> Shown:
    """Read a content as clients do."""
    shown = Shown()
    _read(content, "", shown, at_start=True)
    return shown


def pings(content: str) -> list[str]:
    """What pings wherever it stands, in code too: nobody should rely on where a server looks."""
    return LOUD.findall(content)


def _read(text: str, style: str, shown: Shown, at_start: bool = False) -> None:
    position = 0
    while position < len(text):
        starts = at_start if position == 0 else text[position - 1] == "\n"
        if starts and (block := BLOCK.match(text, position)):
            position = _block(text, position, block, style, shown)
        elif SPECIAL.match(text, position) and (end := _inline(text, position, style, shown)):
            position = end
        else:
            shown.characters.append((text[position], style))
            position += 1


def _block(text: str, position: int, block: re.Match[str], style: str, shown: Shown) -> int:
    """What begins a line: the rest of it has its style, after >>> all of the rest."""
    mark = block[1].strip()
    stays_open = text.find("```", position) not in (-1, position)
    end = len(text) if mark == ">>>" else text.find("\n", position)
    end = len(text) if end < 0 else end
    if stays_open and FENCE.search(text, position, end) is None and _opens(text[block.end() : end]):
        shown.characters.append(("```", ""))  # a fence that begins in a line of a list or a quote ends who knows where
    _read(text[block.end() : end], style + BLOCK_STYLES.get(mark, "l"), shown, at_start=True)
    return end


def _opens(line: str) -> bool:
    return "```" in re.sub(r"\\.", "", line)


def _inline(text: str, position: int, style: str, shown: Shown) -> int | None:
    """Read what stands at a position; return where it ends, None where it is a plain character."""
    if found := ESCAPE.match(text, position):
        shown.characters.append((found[1], style + "x"))
    elif found := FENCE.match(text, position):
        shown.characters += [(one, style + "fc") for one in found[2]]
    elif found := CODE.match(text, position):
        shown.characters += [(one, style + "c") for one in found[2]]
    elif found := TOKENS.match(text, position):
        shown.tokens.append(found[0])
    elif found := AUTOLINK.match(text, position):
        shown.links.append(found[1])
        shown.characters += [(one, style + "a") for one in found[1]]
    elif text[position] == "[" and (found := MASKED.match(text, position)) and SCHEME.match(found[3]):
        shown.links.append(found[3])
        if not (found[2] and found[4]):
            shown.previews.append(found[3])
        _read(found[1], style + "a", shown)
    elif found := BARE.match(text, position):
        shown.previews.append(found[0])
    else:
        return _emphasis(text, position, style, shown)
    return found.end()


def _emphasis(text: str, position: int, style: str, shown: Shown) -> int | None:
    matches = [(name, found) for name, rule in MARKS.get(text[position], []) if (found := rule.match(text, position))]
    if not matches:
        return None
    name, found = max(matches, key=lambda one: one[1].end())
    _read(found[1], style + name, shown)
    return found.end()
