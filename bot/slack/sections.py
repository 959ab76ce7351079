"""A tree of any length as texts that Slack takes in sections."""

from __future__ import annotations

from typing import NamedTuple

from bot.parting import fitted, parted, size
from bot.slack.mrkdwn import MRKDWN, escape
from core.markup import Block

MAX_SECTION = 3000


class Sections(NamedTuple):
    """Texts of at most `MAX_SECTION` characters each; `was_cut`: there was more than was asked for."""

    texts: tuple[str, ...]
    was_cut: bool


def fit(text: str, limit: int) -> str:
    """Return `text` escaped, in at most `limit` characters, with an ellipsis where it was cut."""
    return fitted(text, limit, escape)


def sections(blocks: tuple[Block, ...], limit: int) -> Sections:
    """Return the tree as texts for section blocks, all together at most `limit` characters long."""
    texts: list[str] = []
    for text in parted(blocks, MRKDWN, MAX_SECTION):
        limit -= size(text)
        if limit < 0:
            return Sections(tuple(texts), was_cut=True)
        if text.strip():
            texts.append(text)
    return Sections(tuple(texts), was_cut=False)
