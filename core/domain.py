"""The nouns of Frontdesk: frozen values, standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a conversation happens; equal addresses are the same conversation."""

    platform: str
    workspace_id: str
    channel_id: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Who wrote or pressed something."""

    actor_id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message of a customer, as its surface received it."""

    message_id: str
    address: Address
    actor: Actor
    text: str
    received_at: datetime = field(default_factory=utc_now)
    for_bot: bool = True  # False: people are talking to each other
    overheard: bool = False  # nobody asked the bot, but it may answer when it is sure
    draft: bool = False  # staff see the reply first
    joins: bool = False  # belongs to what its author wrote in this channel moments ago, if that still waits
    by_staff: bool = False  # said by staff to the customer: the conversation is theirs from here on
    order_key: str = ""  # sorts the messages of a conversation as the platform ordered them; empty: as they were accepted


@dataclass(frozen=True, slots=True)
class Edited:
    """A customer changed a message that was sent before."""

    address: Address
    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """A customer took a message back."""

    address: Address
    message_id: str


@dataclass(frozen=True, slots=True)
class Passage:
    """One piece of knowledge that can answer a question.

    `title` is the question of a FAQ row or the heading path of a document; `curated` is true for a FAQ row, whose text is a
    whole answer that may be given word for word.
    """

    passage_id: str
    document_id: str
    title: str
    text: str
    alternatives: tuple[str, ...] = ()
    url: str | None = None
    category: str | None = None
    locale: str | None = None
    tags: tuple[str, ...] = ()
    curated: bool = True


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage and the calibrated probability (0..1) that it answers the question."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What retrieval found, best first, and the versions that found it."""

    hits: tuple[Hit, ...]
    index_version: str
    embedder_version: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One earlier question of a conversation and what it was answered."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a generator gets: instructions, the passages as data, the conversation and the question."""

    system: str
    passages: tuple[Passage, ...]
    history: tuple[Exchange, ...]
    question: str
    version: str
    conversation: str = ""  # equal for all questions of a conversation: it stays with one model


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a generator may write."""

    max_tokens: int = 160


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written by a generator."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """The end of a stream: the whole text and what made it. `finish_reason` is `stop` or `length`."""

    text: str
    model_version: str
    finish_reason: str = "stop"
    usage: Usage = Usage()


class Decision(StrEnum):
    """What the bot does with a message."""

    DIRECT = "direct"
    ANSWER = "answer"
    CLARIFY = "clarify"
    HANDOFF = "handoff"
    SILENT = "silent"

    @property
    def answers(self) -> bool:
        """Whether the customer got an answer from the knowledge."""
        return self in (Decision.DIRECT, Decision.ANSWER)


class Action(StrEnum):
    """What a delivery is, and so where it goes."""

    REPLY = "reply"  # to the customer
    DRAFT = "draft"  # to staff, who may send it
    ALERT = "alert"  # to staff: a customer waits for a person; begins the thread in which staff talk to them
    RELAY = "relay"  # to that thread: what the customer wrote
    NOTE = "note"  # to that thread: what became of it
    ESCALATION = "escalation"  # to that thread, and whoever is called there is notified: the one ping there is
    PERSON = "person"  # to the customer, from a person
    REVISION = "revision"  # something sent is shown anew, or taken away; where, says the action of that
    NOTICE = "notice"  # to the customer, answers nothing
    NEWS = "news"  # to staff, answers nothing

    @property
    def is_for_staff(self) -> bool:
        """Whether it goes to the channel of staff, not into the conversation."""
        return self in (Action.DRAFT, Action.NEWS) or self.is_about_handoff

    @property
    def is_about_handoff(self) -> bool:
        """Whether it begins the thread of a hand-off or goes into it."""
        return self in (Action.ALERT, Action.RELAY, Action.NOTE, Action.ESCALATION)


class Cue(Enum):
    """What a platform that shows an answer while it is written is told besides its text."""

    WRITTEN = "written"  # show nothing more, and return when nothing is under way: it could write over the reply
    NOTHING = "nothing"  # no reply comes of this attempt, what it showed goes


class Owner(StrEnum):
    """Who answers a conversation."""

    BOT = "bot"
    STAFF = "staff"


class Reason(StrEnum):
    """Why a decision was taken; kept with the turn for people who review it."""

    CONFIDENT = "confident"
    COMPOSED = "composed"
    QUOTED = "quoted"
    CLOSE_CANDIDATES = "close_candidates"
    LOW_CONFIDENCE = "low_confidence"
    ASKED_FOR_PERSON = "asked_for_person"
    SMALL_TALK = "small_talk"
    NOTHING_TO_READ = "nothing_to_read"
    NOT_FOR_BOT = "not_for_bot"
    WITH_PERSON = "with_person"
    FAILED = "failed"
    TOO_MANY = "too_many"
    DELAYED = "delayed"
    TAKEN_BACK = "taken_back"
    NOTICE = "notice"
    BY_PERSON = "by_person"


@dataclass(frozen=True, slots=True)
class Citation:
    """A source of a reply."""

    passage_id: str
    title: str
    url: str | None
    score: float


@dataclass(frozen=True, slots=True)
class Lineage:
    """The versions that made a reply."""

    model: str
    index: str
    prompt: str
    embedder: str
    policy: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds spent on a reply."""

    retrieve: float = 0.0
    generate: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bot answers to one message, with everything that led to it."""

    decision: Decision
    reason: Reason
    text: str
    citations: tuple[Citation, ...]
    confidence: float
    lineage: Lineage
    timings_ms: Timings = Timings()
    usage: Usage = Usage()
    hits: tuple[Hit, ...] = ()


def notice(decision: Decision, reason: Reason, text: str = "") -> Reply:
    """Return a reply that neither knowledge nor a model had a part in."""
    return Reply(decision, reason, text, (), 0.0, Lineage("none", "none", "none", "none", "none"))
