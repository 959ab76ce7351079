"""Made-up conversations to try the console with: the values, and the port they are kept through."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from core.corrections import CorrectionDraft
from core.domain import Address, Owner, Reply
from core.feedback import Feedback
from core.handoff import Helper, State, Why
from core.reviews import Verdict

REVIEWER = "demo-reviewer"
MARK = "demo-"  # begins the id of every workspace of a demo, and of nothing else


class DemoTurn(NamedTuple):
    """One question of a made-up conversation and what became of it."""

    turn_id: str
    question: str
    asked_at: datetime
    answered_at: datetime
    reply: Reply
    feedback: Feedback | None = None
    correction: CorrectionDraft | None = None
    verdict: Verdict | None = None
    decided_at: datetime | None = None


class DemoHandoff(NamedTuple):
    """What became of a customer who was handed over with a turn; `said` is what staff wrote to them, and when."""

    handoff_id: str
    turn_id: str
    why: Why
    state: State
    opened_at: datetime
    helper: Helper | None = None
    claimed_at: datetime | None = None
    closed_at: datetime | None = None
    said: tuple[tuple[str, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class DemoConversation:
    """A made-up conversation, in which the customer was perhaps handed over at the end."""

    conversation_id: str
    address: Address
    actor_id: str
    actor_name: str
    turns: tuple[DemoTurn, ...]
    handoff: DemoHandoff | None = None

    @property
    def owner(self) -> Owner:
        """Who answers: staff where somebody has taken it over."""
        return Owner.STAFF if self.handoff and self.handoff.state is State.CLAIMED else Owner.BOT


class DemoStore(Protocol):
    """Puts made-up conversations beside real ones, and takes them out again."""

    async def has_any(self) -> bool:
        """Tell whether there are made-up conversations."""
        ...

    async def fill(self, conversations: Iterable[DemoConversation], progress: Callable[[int], None]) -> int:
        """Keep them in large transactions and return how many turns they have; `progress` gets how many were kept since."""
        ...

    async def remove(self) -> int:
        """Take out everything that belongs to a workspace of a demo; return how many turns."""
        ...
