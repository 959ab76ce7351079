"""What every chat platform must see through: addresses that lead elsewhere than they look, and words that ping."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from core.text import fold

JOINER = "\u2060"  # parts what would be read as one, where a line must not break

_AT = re.compile(r"(?<![^\W_])[@\uff20\ufe6b](?=\S)")  # the @ of an e-mail address follows a letter and pings nobody
_PINGS = ("channel", "here", "everyone")
_PING_WINDOW = 64  # characters behind an @ in which the word must begin and end; more that is invisible breaks it by itself
_WEB = re.compile(r"https?://[^\s\x00-\x1f\x7f/?#\\@\uff20\ufe6b]+(?:[/?#\\][^\s\x00-\x1f\x7f]*)?", re.IGNORECASE)
_NAMES_A_HOST = re.compile(r"[\w-]+\.[^\W\d_]{2,}")


def is_web(url: str) -> bool:
    """Tell whether `url` is an http(s) address; one with a user's name in it only looks as if it led elsewhere."""
    return bool(_WEB.fullmatch(url))


def real_host(url: str, label: str) -> str:
    """Return what stands behind words that name a host themselves: nobody may think that the link leads there. Mostly empty."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    named = _NAMES_A_HOST.findall(fold(label).lower())
    return f" ({host})" if host and any(name not in host for name in named) else ""


def quieted(text: str) -> str:
    """Return `text` in which @channel, @here and @everyone are broken, in whatever letters they hide."""
    return _AT.sub(lambda at: at.group() + JOINER * _pings(at), text)


def quiet_address(url: str) -> str:
    """Return an address in which nothing pings."""
    return _AT.sub(lambda at: quote(at.group()) if _pings(at) else at.group(), url)


def _pings(at: re.Match[str]) -> bool:
    return fold(at.string[at.end() : at.end() + _PING_WINDOW]).lower().startswith(_PINGS)
