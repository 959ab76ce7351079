"""How much may be asked: limits, and the port that they are checked through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from core.domain import InboundMessage, Reason


class Limit(StrEnum):
    """Whose share is used up."""

    USER = "user"
    CONVERSATION = "conversation"
    WORKSPACE = "workspace"
    EVERYBODY = "everybody"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Messages a minute, and tokens of the language model a day; 0 is no limit."""

    user_per_minute: int = 20
    conversation_per_minute: int = 30
    workspace_per_minute: int = 6000
    everybody_per_minute: int = 30_000
    tokens_per_day: int = 0


class Excess(NamedTuple):
    """A limit that a message exceeds, and whether its author was told so within the window."""

    limit: Limit
    told: bool


class Budget(Protocol):
    """Limits that every process shares."""

    async def check(self, message: InboundMessage) -> Excess | None:
        """Return the narrowest limit that an accepted message exceeds, None when it may be answered."""
        ...

    async def told(self, message: InboundMessage, reason: Reason, seconds: float) -> bool:
        """Tell whether this conversation, or this author elsewhere in the workspace, was told something for `reason` lately."""
        ...
