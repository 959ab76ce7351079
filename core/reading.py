"""A conversation as staff read it: every turn with what led to it and what became of it. The values, and the port."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from core.corrections import Cause
from core.domain import Address, Owner
from core.feedback import Feedback
from core.handoff import Line
from core.members import Scope
from core.review import TurnRecord
from core.reviews import ReviewItem


class PastCorrection(NamedTuple):
    """What somebody proposed in place of an answer, and what was decided about it."""

    correction_id: str
    question: str
    answer: str
    cause: Cause
    author: str
    state: str
    proposed_at: datetime


class ReadTurn(NamedTuple):
    """One turn of a conversation. `text_by_staff`: what the customer got in place of the reply, where staff changed a draft."""

    record: TurnRecord
    position: int
    author: str
    text_by_staff: str | None
    feedback: tuple[Feedback, ...]
    corrections: tuple[PastCorrection, ...]
    review: ReviewItem | None


class Conversation(NamedTuple):
    """A part of a conversation, oldest turn first; `earlier` and `later`: there is more before and behind.

    `asides` is what the customer and staff said to each other meanwhile, without the bot.
    """

    conversation_id: str
    address: Address
    started_at: datetime
    owner: Owner
    turns: tuple[ReadTurn, ...]
    earlier: bool
    later: bool
    asides: tuple[Line, ...] = ()


class ConversationBook(Protocol):
    """Reads conversations; nothing outside `scope` is found."""

    async def conversation(self, scope: Scope, conversation_id: str, limit: int, last: int | None = None) -> Conversation | None:
        """Return the last `limit` turns up to the position `last` in which something was said."""
        ...

    async def position(self, scope: Scope, turn_id: str) -> tuple[str, int] | None:
        """Return the conversation of a turn and where it stands there."""
        ...
