"""Discord's text as people read it: its tokens in words, the mention of the bot taken out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from bot.mention import MARK, without_mention

_TOKEN = re.compile(r"<(@!?|@&|#)(\d{1,20})>|<a?(:\w{1,40}:)\d{1,20}>|<(/[^<>\n:]{1,100}):\d{1,20}>")
_MAX_READ = 4000  # of a message without Nitro 2,000
_MAX_TOKENS = 50  # more mentions than a person types say no more than these


class Read(NamedTuple):
    """What a message says, and whom it names."""

    text: str
    to_bot: bool
    to_others: bool


def read(text: str, bot_ids: frozenset[int], names: Mapping[int, str]) -> Read:
    """Return a message's text without the mention of the bot; `bot_ids` are its own and its roles', `names` of whoever is mentioned."""
    shown = 0
    to_bot = to_others = False

    def in_words(found: re.Match[str]) -> str:
        nonlocal shown, to_bot, to_others
        shown += 1
        if found[3] or found[4]:
            return (found[3] or found[4]) if shown <= _MAX_TOKENS else ""
        target = int(found[2])
        if target in bot_ids and found[1] != "#":
            to_bot = True
            return MARK
        to_others = to_others or found[1] != "#"
        return _named(found[1], names.get(target, "")) if shown <= _MAX_TOKENS else "…"

    words = without_mention(_TOKEN.sub(in_words, text[:_MAX_READ].replace(MARK, ""))).strip()
    return Read(words, to_bot, to_others)


def _named(kind: str, name: str) -> str:
    if kind == "#":
        return "#" + (name or "channel")
    return "@" + (name or ("group" if kind == "@&" else "someone"))
