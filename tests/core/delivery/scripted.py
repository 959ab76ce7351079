"""What proofs of delivery are written with: a dialogue, a platform and an inbox that do as they are told and keep a journal."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import text

from core.domain import Actor, Address, Cue, Decision, Exchange, InboundMessage, Lineage, Reason, Reply
from core.errors import StorageError
from core.ports import Claim, Delivery
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox

HERE = Address("chat", "w", "c", "t1")
ELSEWHERE = replace(HERE, thread_id="t2")
PATIENCE_SECONDS = 60.0  # far more than anything here takes: only a failing test waits as long


def reply(said: str) -> Reply:
    return Reply(Decision.DIRECT, Reason.CONFIDENT, said, (), 1.0, Lineage("scripted", "", "", "", ""))


def message(number: int, address: Address = HERE, *, said: str = "") -> InboundMessage:
    return InboundMessage(f"m{number}", address, Actor("ann"), said or f"text {number}", order_key=f"{number:06}")


async def let_leases_run_out(database: Database) -> None:
    """Put every lease into the past, as a minute would."""
    async with database.write() as connection:
        for table in ("conversations", "outbox"):
            await connection.execute(text(f"UPDATE {table} SET lease_until = '2000-01-01 00:00:00' WHERE lease_until IS NOT NULL"))


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None], patience: float = PATIENCE_SECONDS) -> AsyncIterator[asyncio.Task[None]]:
    """Run `work` during the block; a test that hangs fails after `patience` seconds."""
    task = asyncio.create_task(work)
    try:
        async with asyncio.timeout(patience):
            yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


class Journal:
    """What happened, in order; a test waits for an entry instead of sleeping."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self._more = asyncio.Event()

    def note(self, entry: str) -> None:
        self.entries.append(entry)
        self._more.set()

    async def has(self, entry: str, times: int = 1, patience: float = PATIENCE_SECONDS) -> None:
        """Return when `entry` was noted as often."""
        async with asyncio.timeout(patience):
            while self.entries.count(entry) < times:
                self._more.clear()
                await self._more.wait()


@dataclass
class Dialogue:
    """`Responder` that repeats the message in capitals, unless the script says otherwise."""

    journal: Journal
    script: deque[Callable[[], Awaitable[None]]] = field(default_factory=deque)  # one step for each time it is asked
    previews: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    histories: list[tuple[Exchange, ...]] = field(default_factory=list)

    async def reply(self, message: InboundMessage, history: tuple[Exchange, ...] = (), preview: Any = None) -> Reply:
        self.asked.append(message.text)
        self.histories.append(history)
        self.journal.note("asked")
        try:
            for piece in self.previews:
                await preview(piece)
            if self.script:
                await self.script.popleft()()
        except asyncio.CancelledError:
            self.journal.note("stopped")
            raise
        return reply(message.text.upper())

    def apology(self) -> Reply:
        return replace(reply("Sorry, a person will answer."), decision=Decision.HANDOFF, reason=Reason.FAILED)


async def fail() -> None:
    raise RuntimeError("the model is on fire")


async def forever() -> None:
    await asyncio.Event().wait()


class JournalInbox(SqlInbox):
    """`SqlInbox` that notes what was written, and fails as often as `failing` says: the database was away.

    With `unheard` it is away only for the confirmation: the transaction went through.
    """

    def __init__(self, database: Database, journal: Journal) -> None:
        super().__init__(database)
        self.journal = journal
        self.failing = Counter[str]()
        self.unheard = Counter[str]()

    async def claim(self, seconds: float) -> Claim | None:
        claim = await super().claim(seconds)
        if claim is not None:
            self.journal.note("claimed")
        return claim

    async def renew(self, claim: Claim, seconds: float) -> None:
        await self._noted("renew", super().renew(claim, seconds))

    async def finish(self, claim: Claim, reply: Reply) -> str:
        return await self._noted("finish", super().finish(claim, reply))

    async def bury(self, claim: Claim, error: str, reply: Reply) -> str:
        return await self._noted("bury", super().bury(claim, error, reply))

    async def retry(self, claim: Claim, error: str, delay: float) -> None:
        await self._noted("retry", super().retry(claim, error, delay))

    async def release(self, claim: Claim) -> None:
        await self._noted("release", super().release(claim))

    async def _noted(self, name: str, write: Coroutine[Any, Any, Any]) -> Any:
        if self.failing[name]:
            self.failing[name] -= 1
            write.close()
            self.journal.note(f"{name} failed")
            raise StorageError("scripted: the database is away.")
        done = await write
        if self.unheard[name]:
            self.unheard[name] -= 1
            raise StorageError("scripted: the database went away before it confirmed.")
        self.journal.note(name)
        return done


class JournalOutbox(SqlOutbox):
    """`SqlOutbox` that notes what was written."""

    def __init__(self, database: Database, journal: Journal) -> None:
        super().__init__(database)
        self.journal = journal
        self.failing = Counter[str]()

    async def sent(self, delivery: Delivery, reference: str) -> None:
        if self.failing["sent"]:
            self.failing["sent"] -= 1
            self.journal.note("sent failed")
            raise StorageError("scripted: the database is away.")
        await super().sent(delivery, reference)
        self.journal.note("sent")

    async def retry(self, delivery: Delivery, error: str, delay: float, *, uncertain: bool) -> None:
        await super().retry(delivery, error, delay, uncertain=uncertain)
        self.journal.note("retry")

    async def bury(self, delivery: Delivery, error: str) -> None:
        await super().bury(delivery, error)
        self.journal.note("bury")


@dataclass
class Platform:
    """`ChatAdapter` of a platform in memory; each call first takes the next step of its script."""

    sends: deque[Callable[[], Awaitable[None]]] = field(default_factory=deque)  # before the reply is stored
    answers: deque[Callable[[], Awaitable[None]]] = field(default_factory=deque)  # after it was stored
    finds: deque[Callable[[], Awaitable[None]]] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)  # thread and text
    _known: dict[str, str] = field(default_factory=dict)
    platform: str = "chat"

    async def send(self, delivery: Delivery) -> str:
        self.calls.append("send")
        await _step(self.sends)
        self.said.append((delivery.address.thread_id, delivery.reply.text))
        self._known[delivery.key] = f"ref-{len(self.said)}"
        await _step(self.answers)
        return self._known[delivery.key]

    async def find(self, delivery: Delivery) -> str | None:
        self.calls.append("find")
        await _step(self.finds)
        return self._known.get(delivery.key)

    async def preview(self, message: InboundMessage, attempt: str, text: str | Cue) -> None:
        if text is not None:
            self.calls.append(f"preview {text}")


async def _step(script: deque[Callable[[], Awaitable[None]]]) -> None:
    if script:
        await script.popleft()()


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    """A step that fails."""

    async def step() -> None:
        raise error

    return step


async def passing() -> None:
    """A step in which nothing happens."""
