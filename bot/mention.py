"""Takes the mention of the bot out of a message, the same on every platform."""

from __future__ import annotations

import re

MARK = "\0"  # stands where the bot is mentioned
_GAP = re.compile(r"[ \t]{2,}")
_BOT = re.compile(rf"{MARK}(?:[ \t]*[,:](?=\s))?")
_BEFORE_MARK = re.compile(r"[ \t]+(?=[,.!?;:])")


def without_mention(text: str) -> str:
    """Return `text` without the mentions of the bot, each marked by `MARK`, and without the white space that they leave."""
    if MARK not in text:
        return text
    return "\n".join(
        _BEFORE_MARK.sub("", _GAP.sub(" ", _BOT.sub(" ", line))).strip() if MARK in line else line for line in text.split("\n")
    )
