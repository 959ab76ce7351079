"""What Slack would make of mrkdwn, written from its rules and not from our renderer: what is live, what is styled, what is plain."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

TOKEN = re.compile(r"<([^<>]*)>")
CODE = re.compile(r"`([^`\n]+)`")
ENTITY = re.compile(r"&(?:amp|lt|gt);")
ADDRESS = re.compile(r"\w+://")
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
PING = re.compile(r"(?<![^\W_])@(?:channel|here|everyone)", re.IGNORECASE)
MARKS = {"*": "b", "_": "i", "~": "s"}


@dataclass
class Shown:
    """What a reader sees: characters with their styles (b, i, s, c, q for quote), and what is live."""

    characters: list[tuple[str, str]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    mentions: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)  # raw < > &, which Slack may read as anything
    bare_addresses: bool = False
    open_fence: bool = False

    @property
    def text(self) -> str:
        return "".join(character for character, _ in self.characters)

    def styles(self) -> set[str]:
        return {style for _, styles in self.characters for style in styles}


def show(mrkdwn: str, *, zero_width_is: str = "space") -> Shown:
    """Read mrkdwn; whether Slack takes a zero-width character for a space or a letter is nowhere written, so a test tries both."""
    shown = Shown()
    for index, part in enumerate(mrkdwn.split("```")):
        if index % 2:
            _code(part, shown)
        else:
            for line in part.split("\n"):
                _line(line, shown, zero_width_is)
    shown.open_fence = mrkdwn.count("```") % 2 == 1
    return shown


def pings(text: str) -> list[str]:
    """Words that would ping if Slack read names: whatever width or invisible letters they are written with, unless U+2060 parts them."""
    seen = "".join(letter for letter in text if letter not in ZERO_WIDTH.replace("\u2060", ""))
    return PING.findall(unicodedata.normalize("NFKC", seen))


def _code(text: str, shown: Shown) -> None:
    for token in TOKEN.findall(text):
        shown.mentions.append(token)  # Slack reads tokens in code as well
    _plain(TOKEN.sub("", text), "c", shown)


def _line(line: str, shown: Shown, zero_width_is: str) -> None:
    style = ""
    if re.match(r"(?:>|&gt;)", line):
        line, style = re.sub(r"^(?:>|&gt;)+ ?", "", line), "q"
    _inline(line, style, shown, zero_width_is)
    shown.characters.append(("\n", ""))


def _inline(line: str, style: str, shown: Shown, zero_width_is: str) -> None:
    position = 0
    while position < len(line):
        if line[position].isalnum() and not ADDRESS.match(line, position):
            shown.characters.append((line[position], style))
            position += 1
        elif token := TOKEN.match(line, position):
            _token(token[1], style, shown)
            position = token.end()
        elif code := CODE.match(line, position):
            _code_span(code[1], style, shown)
            position = code.end()
        elif (end := _closing(line, position, zero_width_is)) is not None:
            _inline(line[position + 1 : end], style + MARKS[line[position]], shown, zero_width_is)
            position = end + 1
        else:
            shown.bare_addresses = shown.bare_addresses or bool(ADDRESS.match(line, position))
            entity = ENTITY.match(line, position)
            _plain(entity[0] if entity else line[position], style, shown)
            position += len(entity[0]) if entity else 1


def _code_span(text: str, style: str, shown: Shown) -> None:
    shown.mentions.extend(TOKEN.findall(text))
    _plain(TOKEN.sub("", text), style + "c", shown)


def _plain(text: str, style: str, shown: Shown) -> None:
    shown.stray += re.findall(r"[<>]|&(?!(?:amp|lt|gt);)", text)
    for character in text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"):
        shown.characters.append((character, style))


def _token(token: str, style: str, shown: Shown) -> None:
    target, _, label = token.partition("|")
    (shown.links if re.match(r"https?://", target, re.IGNORECASE) else shown.mentions).append(target)
    _plain((label or target).replace("|", ""), style + "l", shown)


def _closing(line: str, start: int, zero_width_is: str) -> int | None:
    """Where the emphasis that begins at `start` ends: Slack wants no letter outside a mark and no space inside it."""
    mark = line[start]
    if mark not in MARKS or _is_letter(line[:start][-1:], zero_width_is) or _is_space(line[start + 1 : start + 2], zero_width_is):
        return None
    hidden = re.sub(r"<[^<>]*>|`[^`]+`", lambda found: "x" * len(found[0]), line)
    for end in range(start + 2, len(hidden)):
        outside = not _is_letter(hidden[end + 1 : end + 2], zero_width_is)
        if hidden[end] == mark and outside and not _is_space(hidden[end - 1], zero_width_is):
            return end
    return None


def _is_space(character: str, zero_width_is: str) -> bool:
    return not character or character.isspace() or (character in ZERO_WIDTH and zero_width_is == "space")


def _is_letter(character: str, zero_width_is: str) -> bool:
    return bool(character) and (character.isalnum() or (character in ZERO_WIDTH and zero_width_is == "letter"))
