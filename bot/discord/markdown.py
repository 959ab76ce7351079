"""Our Markdown tree as Discord's: plain words stay plain words, nothing pings anybody, and only a `Link` is live.

Discord reads a backslash as an escape nearly everywhere. Where it does not, or where its servers look for mentions without reading
marks (what begins with `<` or `@`, and addresses), a zero-width character parts what would be read as one.
"""

from __future__ import annotations

import re

from bot.addresses import JOINER, is_web, quieted, real_host
from bot.layout import APART, Syntax, to_words, unfenced
from bot.parting import fitted
from core.markup import Block

MAX_URL = 700
_MAX_LABEL = 200  # written out
_MAX_HOST = 100

_MARK = re.compile(r"[\\*_~`|\[\]]|(?<=\])\(")  # ]( even behind a backslash: Discord reads on for the end of a link that began before
_AT = re.compile(r"[@\uff20\ufe6b](?=everyone|here)|(?<![^\W_])[@\uff20\ufe6b](?=\S)", re.IGNORECASE)  # one in an e-mail address stays
_TOKEN = re.compile(r"<(?=\S)")
# In code every character counts, so only what Discord would read there is broken.
_TOKEN_IN_CODE = re.compile(r"<(?=@[!&]?\d|#\d|/[^<>\n]{1,110}:\d|a?:\w+:\d|t:-?\d|id:\w)")
_LINK_IN_CODE = re.compile(r"(?<=\])(?=\(\s*<?[a-z][\w+.-]*:)", re.IGNORECASE)
_LOUD = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
_INVITE = re.compile(r"(?<=discord)(?=\.(?:gg|com|gift|new)\b)|(?<=discordapp)(?=\.com\b)", re.IGNORECASE)
_INDENT = r"(?m)^((?:[^\S\n]|[\u200b\u2060\ufeff])*)"
_BLOCK = re.compile(_INDENT + r"(?=[#>-])")
_NUMBER = re.compile(_INDENT + r"(\d+)(?=\.(?:\s|$))")
_LANGUAGE = re.compile(r"[\w+#.-]{1,20}", re.ASCII)
_BRACKETS = str.maketrans("[]", "［］")
_HARD_IN_URL = str.maketrans({one: f"%{ord(one):02X}" for one in "<>()\"'`*|\\[]@"})


def escape(text: str) -> str:
    """Return Markdown that shows exactly `text`, wherever in a line it stands: no ping, no mark, no address that would be live."""
    text = _INVITE.sub(JOINER, _MARK.sub(r"\\\g<0>", text)).replace("://", f":{JOINER}//")
    return _TOKEN.sub(rf"\\<{JOINER}", _AT.sub(rf"\g<0>{JOINER}", text))


def begin(text: str) -> str:
    """Return Markdown that begins no heading, list, quote or small print at the start of a line."""
    return _NUMBER.sub(r"\1\2\\", _BLOCK.sub(r"\1\\", text))


def link(url: str, label: str) -> str:
    """Return a live link that shows no preview, or only the words where `url` is no http(s) address that Discord takes."""
    if not is_live(url):
        return escape(label)
    shown, address = " ".join(label.split()).translate(_BRACKETS), _address(url)
    if not shown or label == url:
        return f"<{address}>"
    host = real_host(url, label)[-_MAX_HOST:]
    return f"[{fitted(shown, _MAX_LABEL, escape)}](<{address}>){escape(host)}"


def is_live(url: str) -> bool:
    """Tell whether `url` can be a link in Discord."""
    return is_web(url) and len(_address(url)) <= MAX_URL


def fence(code: str, language: str = "") -> str:
    """Return a code block; a fence inside it is broken, as Discord would end the block there, and an empty one shows a space."""
    name = language if _LANGUAGE.fullmatch(language) else ""
    return f"```{name}\n{_quiet_code(unfenced(code)) if code.strip() else APART}\n```"


def to_plain(blocks: tuple[Block, ...]) -> str:
    """Return the words of the tree without any style, not escaped."""
    return to_words(blocks, MARKDOWN)


def _address(url: str) -> str:
    # The @ too: behind the first slash it may stand before everyone.
    return url.translate(_HARD_IN_URL)


def _code(text: str) -> str:
    return "`" + _quiet_code(text.replace("`", "ˋ")) + "`"


def _quiet_code(text: str) -> str:
    text = _LINK_IN_CODE.sub(JOINER, _INVITE.sub(JOINER, _LOUD.sub(f"@{JOINER}", quieted(text))))
    return _TOKEN_IN_CODE.sub(f"<{JOINER}", text)


MARKDOWN = Syntax(
    bullet="- ", inner_quote="\\> ", bold="**", italic="*",
    plain=escape, marked=escape, code=_code, fence=fence, link=link, is_live=is_live, end_in_code="*", begin=begin,
)  # fmt: skip
