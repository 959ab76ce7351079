"""Conversations that wait for a person or are with one: the values, and the ports through which they are kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from core.domain import Address, Exchange, Reason
from core.members import Scope
from core.mood import Mood, Tone

MAX_EXCHANGES = 4  # of a packet
MAX_PASSAGES = 3
ELSEWHERE = "A person on our team has your request already, and answers you in the conversation where you asked before."


class State(StrEnum):
    """What became of a hand-off."""

    WAITING = "waiting"  # the bot goes on answering until somebody comes
    CLAIMED = "claimed"  # a person talks to the customer, the bot is silent
    RETURNED = "returned"  # with the bot again
    SOLVED = "solved"  # with the bot again, and the customer has what they need

    @property
    def is_open(self) -> bool:
        """Whether people have something to do."""
        return self in (State.WAITING, State.CLAIMED)


class Why(StrEnum):
    """Why a customer was handed over."""

    ASKED = "asked"
    LOW_CONFIDENCE = "low_confidence"
    ANGRY = "angry"
    POLICY = "policy"
    ERROR = "error"
    THUMBS_DOWN = "repeated_thumbs_down"


_WHY = {Reason.ASKED_FOR_PERSON: Why.ASKED, Reason.LOW_CONFIDENCE: Why.LOW_CONFIDENCE, Reason.FAILED: Why.ERROR}


def why_of(reason: Reason, mood: Mood) -> Why:
    """Return the reason code of a turn that hands over; whoever is angry and gets no answer is handed over as angry."""
    why = _WHY.get(reason, Why.POLICY)
    return Why.ANGRY if why is Why.LOW_CONFIDENCE and mood.tone is Tone.ANGRY else why


class Helper(NamedTuple):
    """Who of staff does something: as the audit log names them, and by the name that colleagues read."""

    actor: str
    name: str = ""

    @property
    def shown(self) -> str:
        """What colleagues read."""
        return self.name or self.actor


@dataclass(frozen=True, slots=True)
class Handoff:
    """One customer who waits for a person, is with one, or was."""

    handoff_id: str
    address: Address  # of the customer's conversation
    customer_id: str
    why: Why
    state: State
    opened_at: datetime
    claimed_by: Helper | None = None
    claimed_at: datetime | None = None
    closed_at: datetime | None = None
    staff_platform: str = ""  # where staff have a thread about it; empty: in the console only
    thread: str = ""  # the reference of the message that begins it, empty until it has arrived
    question: str = ""  # that it was opened for


class Tried(NamedTuple):
    """A passage that was found, and the probability (0..1) that it answers the question."""

    title: str
    score: float
    url: str | None = None


class Packet(NamedTuple):
    """What a person must know before they answer; taken from the turns whenever it is read, so what is erased there is gone here."""

    question: str
    said: str  # what the bot said to it, besides that a person comes
    exchanges: tuple[Exchange, ...]  # before that, oldest first
    tried: tuple[Tried, ...]
    mood: Mood


class Line(NamedTuple):
    """One thing said in a hand-off. `by` is `customer`, `bot` or `staff`; `name` says which member of staff."""

    by: str
    text: str
    said_at: datetime
    name: str = ""
    undelivered: bool = False


class Step(StrEnum):
    """What happens while nobody comes, each once."""

    REMINDER = "reminded_at"  # staff are told again
    ESCALATION = "escalated_at"  # those on call are called
    APOLOGY = "told_at"  # the customer is told


def word_key(platform: str, channel_id: str, message_id: str) -> str:
    """Return the key of what a person wrote in a thread of staff: however often its platform tells it, it is said once."""
    return "word-" + hashlib.sha256(f"{platform}/{channel_id}/{message_id}".encode(errors="surrogatepass")).hexdigest()[:32]


class Handoffs(Protocol):
    """Changes what people do with customers who wait; each change is one transaction with what everybody is told of it."""

    async def open_unhappy(self, turn_id: str, least: int, told: str) -> bool:
        """Hand over the conversation of a turn when its author found `least` answers there unhelpful, and tell them; once."""
        ...

    async def claim(self, handoff_id: str, helper: Helper, told: str, noted: str) -> bool:
        """Give a waiting customer to `helper` and tell both sides. False: somebody else was first, or it is over."""
        ...

    async def say(self, handoff_id: str, helper: Helper, text: str, key: str, echo: str = "") -> bool:
        """Queue what a person of staff says to the customer, once for each key; `echo` shows it to the thread of staff.

        False: the hand-off is over or nothing is said. What was said before under this key counts as said.
        """
        ...

    async def close(self, handoff_id: str, helper: Helper, state: State, told: str, noted: str) -> bool:
        """Give the conversation back to the bot and tell both sides. False: it is over already."""
        ...

    async def note(self, handoff_id: str, text: str, key: str) -> bool:
        """Tell the thread of staff something, once for each key; False: it was told before, or there is no thread."""
        ...

    async def nudge(self, step: Step, seconds: float, text: str) -> int:
        """Do a step, once, where a customer has waited for `seconds`; return for how many. `text` is what is said."""
        ...


class HandoffBook(Protocol):
    """Looks hand-offs up; what a member of staff may not see is not there for them."""

    async def handoff(self, handoff_id: str, scope: Scope) -> Handoff | None:
        """Return one, None when there is none of this id in `scope`."""
        ...

    async def at(self, platform: str, reference: str) -> Handoff | None:
        """Return the one whose thread begins with a message of staff's channel."""
        ...

    async def is_settling(self, platform: str) -> bool:
        """Tell whether a thread was perhaps begun there that is not recorded yet."""
        ...

    async def packet(self, handoff_id: str) -> Packet | None:
        """Return what a person must know, None when there is no such hand-off."""
        ...

    async def lines(self, handoff_id: str) -> tuple[Line, ...]:
        """Return what was said since it was opened, oldest first."""
        ...

    async def page(self, scope: Scope, limit: int, *, closed: bool = False) -> tuple[Handoff, ...]:
        """Return the open ones, those who wait longest first; or those that are over, last closed first."""
        ...

    async def count(self, state: State, scope: Scope, limit: int) -> int:
        """Return how many are in a state in which they are open, counted up to `limit`."""
        ...

    async def of_conversation(self, conversation_id: str, scope: Scope, limit: int) -> tuple[Handoff, ...]:
        """Return the last `limit` of one conversation, the first opened first."""
        ...
