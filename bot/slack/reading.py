"""Slack's text as people read it: its tokens in words, its entities as characters."""

from __future__ import annotations

import re
from typing import NamedTuple

from bot.mention import MARK, without_mention

_TOKEN = re.compile(r"<([^<>\s][^<>\n]{0,4000})>")
_MANY = re.compile(r"…(?:\s*…)+")
_MAX_READ = 40_000  # Slack cuts a message there itself
_MAX_TOKENS = 50  # more mentions and links than a person types say no more than these


class Read(NamedTuple):
    """What a message says, and to whom."""

    text: str
    to_bot: bool
    to_others: bool


def read(text: str, bot_user_ids: frozenset[str]) -> Read:
    """Return a message's text without the mention of the bot."""
    shown, targets = 0, [_target(token) for token in _TOKEN.findall(text[:_MAX_READ])]

    def in_words(found: re.Match[str]) -> str:
        nonlocal shown
        if _target(found[1]) in bot_user_ids:
            return MARK
        shown += 1
        return _in_words(found[1]) if shown <= _MAX_TOKENS else "…"

    words = without_mention(_TOKEN.sub(in_words, text[:_MAX_READ].replace(MARK, "")))
    words = _MANY.sub("…", words).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()
    return Read(words, any(target in bot_user_ids for target in targets), any(target and target not in bot_user_ids for target in targets))


def readable(text: str) -> str:
    """Return a text with its tokens in words."""
    return read(text, frozenset()).text


def _target(token: str) -> str:
    """Whom a token mentions: a user's id, the rest of a group's or a special mention; empty when nobody."""
    name = token.partition("|")[0]
    if name.startswith("@"):
        return name[1:]
    return name if name.startswith(("!channel", "!here", "!everyone", "!subteam^")) else ""


def _in_words(token: str) -> str:
    name, _, label = token.partition("|")
    label = label.strip()
    match name[:1]:
        case "@":
            return "@" + (label.lstrip("@") or "someone")
        case "#":
            return "#" + (label.lstrip("#") or "channel")
        case "!":
            return _special_in_words(name[1:], label)
        case _:
            return _link_in_words(name, label)


def _special_in_words(name: str, label: str) -> str:
    if name in ("channel", "here", "everyone"):
        return "@" + name
    if name.startswith("subteam^"):
        return "@" + (label.lstrip("@") or "group")
    return label


def _link_in_words(url: str, label: str) -> str:
    bare = url.removeprefix("mailto:").removeprefix("tel:")
    if not label or label in (url, bare) or url.partition("://")[2].rstrip("/") == label.rstrip("/"):
        return bare
    return label if bare != url else f"{label} ({url})"
