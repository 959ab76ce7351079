"""Replies that staff see first, and what staff have the bot say: each said once at most."""

from __future__ import annotations

from typing import Protocol

from core.domain import Address
from core.text import clean

STAFF = "staff"  # the channel of the conversation that news for staff are queued in
MAX_WORDS_CHARS = 12_000  # what the longest platform takes in one message


def words_of(text: str) -> str:
    """Return what a person wrote as it may be sent."""
    return clean(text)[:MAX_WORDS_CHARS]


class Drafts(Protocol):
    """What becomes of the reply of a turn that staff were shown."""

    async def send(self, turn_id: str, text: str | None) -> bool:
        """Queue the reply for the customer, in other words where `text` is given.

        False, and nothing is queued: it was sent or discarded before, it is no draft, it was erased, or the other words say nothing.
        """
        ...

    async def discard(self, turn_id: str) -> bool:
        """See to it that the reply is never sent. False: it was sent or discarded before, or is no draft."""
        ...

    async def notify(self, address: Address, text: str, key: str) -> bool:
        """Queue a notice for the customer. False: one of this key was queued before, or `text` says nothing."""
        ...

    async def announce(self, platform: str, text: str, key: str, run_id: str = "") -> bool:
        """Queue news for the channel of staff on a platform. False: news of this key were queued there before.

        News of a run of the learning loop are a conversation of their own, whose thread is its `run_id`: they carry its buttons.
        """
        ...
