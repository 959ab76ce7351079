"""An answer that is still being written, as words and nothing but words: which links and marks are its own, only the whole tells."""

from __future__ import annotations

import re

from core.text import clean

MARK = " …"  # ends every preview, so that one can be told from a reply
MAX_SHOWN = 1900
_JOINER = "\u2060"  # invisible, and breaks what Discord would read as more than words
_MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<-])")


def unfinished(text: str) -> str:
    """Return the end of an answer so far; it pings nobody, opens no link and ends with `MARK`."""
    words = clean(text).replace("@", f"@{_JOINER}").replace("://", f":{_JOINER}//")
    said = _MARKDOWN.sub(r"\\\1", words)
    return (said if len(said) <= MAX_SHOWN else said[:MAX_SHOWN].rstrip("\\") + " ") + MARK
