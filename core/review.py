"""Looking up what the bot has said: for a button under a reply, a correction, a person who takes over."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from core.domain import Address, Reply


class TurnRecord(NamedTuple):
    """One turn, where it was and whose; whoever asks for it by a forged id must compare `address` with where they are."""

    turn_id: str
    address: Address
    actor_id: str
    question: str
    reply: Reply
    asked_at: datetime
    conversation_id: str = ""


class TurnBook(Protocol):
    """Finds turns of any conversation."""

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """Return a turn, None when there is none of this id."""
        ...

    async def recent(self, platform: str, workspace_id: str, actor_id: str, limit: int) -> tuple[TurnRecord, ...]:
        """Return the last turns in which this person was told something, newest first."""
        ...

    async def conversation_at(self, address: Address, limit: int = 20) -> tuple[TurnRecord, ...]:
        """Return the last turns of a conversation in which something was said, newest first."""
        ...

    async def turn_by_reference(self, platform: str, reference: str) -> TurnRecord | None:
        """Return the turn that a message of the platform brought, None when it brought none."""
        ...
