"""The seams: protocols that surfaces, knowledge, models and storage meet at."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.domain import Action, Address, Cue, Deleted, Edited, Exchange, Generation, InboundMessage, Limits, Owner, Prompt, Reply, Retrieval
from core.registry import Load

Vectors: TypeAlias = NDArray[np.float32]


class Embedder(Protocol):
    """Text to vectors of unit length."""

    @property
    def version(self) -> str:
        """Model id and the first digits of the SHA-256 of its weights."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] = ...) -> Vectors:
        """Return float32 vectors of shape (len(texts), dimension), of unit length; `progress` gets how many were done since. Blocks."""
        ...

    async def embed(self, text: str) -> Vectors:
        """Return one vector of shape (dimension,); concurrent calls share a batch."""
        ...


class Retriever(Protocol):
    """Finds the passages that may answer a question."""

    async def retrieve(self, question: str, limit: int = 5) -> Retrieval:
        """Return up to `limit` hits, best first. Raises `SnapshotError` when nothing is published."""
        ...


class PersonDetector(Protocol):
    """Recognises a customer who wants a person instead of the bot."""

    async def wants_person(self, text: str) -> bool:
        """Tell whether `text` asks for a person or has given up on the bot."""
        ...


class Generator(Protocol):
    """Writes an answer from a prompt."""

    @property
    def version(self) -> str:
        """Name of the model that is running."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether it answers without loading anything first."""
        ...

    @property
    def load(self) -> Load:
        """How busy it is."""
        ...

    async def open(self) -> None:
        """Load the model now instead of with the first prompt. Raises `ModelError` when it cannot be loaded."""
        ...

    def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """Yield pieces of text as they are written, then one `Generation`. Closing the iterator cancels the work."""
        ...

    async def aclose(self) -> None:
        """Free the model."""
        ...


class Turn(NamedTuple):
    """One logged question and its reply, as people read it back."""

    turn_id: str
    question: str
    asked_at: datetime
    reply: Reply


class ConversationLog(Protocol):
    """Keeps every conversation."""

    async def append(self, message: InboundMessage, reply: Reply) -> str:
        """Store one turn of the conversation at `message.address` and return its turn id."""
        ...

    async def history(self, address: Address, limit: int = 4) -> tuple[Exchange, ...]:
        """Return the last `limit` exchanges, oldest first."""
        ...

    async def turns(self, address: Address) -> tuple[Turn, ...]:
        """Return every turn of a conversation, oldest first."""
        ...

    async def is_known(self, address: Address) -> bool:
        """Tell whether anything was ever said to the bot there."""
        ...

    async def owner(self, address: Address) -> Owner:
        """Return who answers a conversation."""
        ...

    async def set_owner(self, address: Address, owner: Owner) -> None:
        """Hand a conversation over; an answer that the bot is writing when staff take it is thrown away."""
        ...


class Responder(Protocol):
    """The dialogue, as delivery sees it."""

    async def reply(
        self, message: InboundMessage, history: tuple[Exchange, ...] = (), preview: Callable[[str], Awaitable[None]] = ...
    ) -> Reply:
        """Return the reply to `message`; `history` is oldest first. Raises when it cannot be answered now."""
        ...

    def apology(self) -> Reply:
        """Return what a customer is told whose message could not be answered: a person will."""
        ...


class Dialogue(Responder, Protocol):
    """A responder that can also say less."""

    def too_many(self) -> Reply:
        """Return what a customer is told whose message is not answered because a limit is reached."""
        ...

    def without_model(self) -> Responder:
        """Return the same dialogue, quoting passages where a model would write."""
        ...


class Claim(NamedTuple):
    """The waiting messages of one conversation, to be answered as one turn by whoever holds the lease."""

    conversation_id: str
    lease: str  # the fencing token: nothing can be written under an old one
    messages: tuple[InboundMessage, ...]  # oldest first, of one actor
    inbox_ids: tuple[int, ...]
    attempts: int  # counting this one
    taken_over: bool = False  # an earlier holder's lease ran out

    @property
    def message(self) -> InboundMessage:
        """The messages as one: their texts as lines, the rest from the last."""
        return replace(self.messages[-1], text="\n".join(message.text for message in self.messages))


class Backlog(NamedTuple):
    """What waits: numbers for metrics and readiness. `oldest_seconds` is the age of the oldest waiting message."""

    waiting: int
    oldest_seconds: float
    dead: int
    undelivered: int


class Inbox(Protocol):
    """Accepted messages, each answered by exactly one turn, in order within its conversation."""

    async def accept(self, message: InboundMessage, settle: float = 0.0) -> bool:
        """Store a message before its platform is told; False when it was stored before.

        For `settle` seconds from the first waiting message on, more of the same conversation join its turn.
        """
        ...

    async def amend(self, edited: Edited) -> bool:
        """Change a message that has no answer yet; a turn that is being written is fenced out and done again. False: too late."""
        ...

    async def erase(self, deleted: Deleted) -> bool:
        """Cancel a message that has no answer yet, and forget its text wherever it is kept. False: it was never seen."""
        ...

    async def claim(self, seconds: float) -> Claim | None:
        """Lease the conversation that waits longest, for `seconds`; None when nothing is due."""
        ...

    async def renew(self, claim: Claim, seconds: float) -> None:
        """Keep the lease. Raises `LeaseLostError`."""
        ...

    async def finish(self, claim: Claim, reply: Reply) -> str:
        """Write the turn and what is to be delivered, and free the conversation, in one transaction; return the turn id.

        Raises `LeaseLostError`, and then nothing was written.
        """
        ...

    async def retry(self, claim: Claim, error: str, delay: float) -> None:
        """Give the conversation back; it is due again after `delay` seconds. Raises `LeaseLostError`."""
        ...

    async def bury(self, claim: Claim, error: str, reply: Reply) -> str:
        """Give up on the messages and deliver `reply`, an apology; the conversation goes on. Raises `LeaseLostError`."""
        ...

    async def release(self, claim: Claim) -> None:
        """Give the conversation back untouched, at a shutdown. Raises `LeaseLostError`."""
        ...

    async def answer_to(self, message: InboundMessage) -> Reply | None:
        """Return the reply that a message got, None while it waits; silence when it was taken back."""
        ...

    async def backlog(self) -> Backlog:
        """Return what waits."""
        ...


class Delivery(NamedTuple):
    """A reply on its way to its platform."""

    delivery_id: int
    lease: str
    address: Address
    turn_id: str  # empty for a notice, which answers nothing
    reply: Reply
    key: str  # the same at every attempt: a platform that knows it takes the reply once
    attempts: int
    uncertain: bool  # an earlier attempt may have arrived
    asked_at: datetime
    action: Action = Action.REPLY
    revises: str | None = None  # the reference of what is shown anew, or taken away where there is no text; empty: it never arrived


class Outbox(Protocol):
    """Replies to deliver, in order within their conversation."""

    async def claim(self, platforms: Collection[str], seconds: float) -> Delivery | None:
        """Lease the reply that waits longest and is first in its conversation."""
        ...

    async def sent(self, delivery: Delivery, reference: str) -> None:
        """Record where it arrived. Raises `LeaseLostError`."""
        ...

    async def retry(self, delivery: Delivery, error: str, delay: float, *, uncertain: bool) -> None:
        """Try again after `delay` seconds. Raises `LeaseLostError`."""
        ...

    async def bury(self, delivery: Delivery, error: str) -> None:
        """Give up on it; the next of the conversation may go. Raises `LeaseLostError`."""
        ...

    async def received(self, platform: str, key: str, reference: str) -> bool:
        """Record that the platform showed us the reply of `key`, whoever sent it; False when it is known or not ours."""
        ...

    async def tell_late(self, text: str, seconds: float) -> int:
        """Queue `text` once for every conversation of the bot where a message waits for longer than `seconds`; return how many."""
        ...

    async def dead(self) -> int:
        """Return how many replies were given up on."""
        ...


class ChatAdapter(Protocol):
    """A platform, seen from inside."""

    @property
    def platform(self) -> str:
        """Name of the platform, as in `Address.platform`."""
        ...

    async def send(self, delivery: Delivery) -> str:
        """Deliver a reply and return the platform's reference to it. Raises a `DeliveryError`."""
        ...

    async def find(self, delivery: Delivery) -> str | None:
        """Return the reference of a reply that arrived under its key, None when it did not. Raises a `DeliveryError`."""
        ...

    async def preview(self, message: InboundMessage, attempt: str, text: str | Cue) -> None:
        """Append `text` to what is shown while the reply to `message` is written; empty: the work begins. Best effort.

        The reply replaces it. Another `attempt` begins anew: what an earlier one showed no longer counts.
        """
        ...
