"""Our Markdown tree as Slack's mrkdwn: plain words stay plain words, nothing pings anybody, and only a `Link` is live.

Slack has no escape for its marks. A mark that could be read as one gets zero-width spaces around it: it marks nothing, whether Slack
takes these for spaces or for letters. Where that cannot help (a backtick, a mark inside emphasis) a look-alike takes its place.
"""

from __future__ import annotations

import re

from bot.addresses import JOINER, is_web, quiet_address, quieted, real_host
from bot.layout import APART, MAX_LABEL, Syntax, shorten, to_words, unfenced
from core.markup import Block

MAX_URL = 1500

_MARK = re.compile(r"(?<![^\W_])[*_~]|[*_~](?![^\W_])")  # one between two letters, as in snake_case, marks nothing
_MARKS = ("*", "_", "~")
_LOOKALIKE = {"*": "\u2217", "_": "\uff3f", "~": "\u223c"}
_QUOTE_START = re.compile(r"^([^\S\n]*)(?=>)", re.MULTILINE)
_HARD_IN_URL = str.maketrans({"&": "&amp;", "<": "%3C", ">": "%3E", "|": "%7C", "`": "%60", '"': "%22"})
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """Return mrkdwn that shows exactly `text`: no ping, no mark, no quote, no address that Slack would make live."""
    return _escaped(_QUOTE_START.sub(rf"\1{JOINER}", _MARK.sub(_set_apart, text)))


def link(url: str, label: str) -> str:
    """Return a live link, or only the words where `url` is no http(s) address that Slack takes."""
    if not is_live(url):
        return escape(label)
    shown = shorten(" ".join(label.split()), MAX_LABEL)
    address = quiet_address(url).translate(_HARD_IN_URL)
    if not shown or label == url:
        return f"<{address}>"
    return f"<{address}|{_inside_marks(shown.replace('|', '│'))}>{escape(real_host(url, label))}"


def is_live(url: str) -> bool:
    """Tell whether `url` can be a link in Slack."""
    return is_web(url) and len(url.translate(_HARD_IN_URL)) <= MAX_URL


def fence(code: str, _language: str = "") -> str:
    """Return a code block; a fence inside it is broken, as Slack would end the block there."""
    return f"```\n{quieted(unfenced(code)).translate(_ENTITIES)}\n```"


def to_plain(blocks: tuple[Block, ...]) -> str:
    """Return the words of the tree without any style, not escaped."""
    return to_words(blocks, MRKDWN)


def _escaped(text: str) -> str:
    return quieted(text.replace("`", "ˋ").replace("://", f":{JOINER}//")).translate(_ENTITIES)


def _inside_marks(text: str) -> str:
    return _escaped(_MARK.sub(lambda mark: _LOOKALIKE[mark.group()], text))


def _code(text: str) -> str:
    return "`" + quieted(text.replace("`", "ˋ")).translate(_ENTITIES) + "`"


def _set_apart(mark: re.Match[str]) -> str:
    before, after = mark.string[max(0, mark.start() - 1) : mark.start()], mark.string[mark.end() : mark.end() + 1]
    if (not before or before.isspace()) and after.isspace():
        return mark.group()
    return APART * (before not in _MARKS) + mark.group() + APART


MRKDWN = Syntax(
    bullet="• ", inner_quote="&gt; ", bold="*", italic="_",
    plain=escape, marked=_inside_marks, code=_code, fence=fence, link=link, is_live=is_live,
)  # fmt: skip
