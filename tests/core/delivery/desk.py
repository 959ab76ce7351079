"""A support desk on a real database: a dialogue with a small knowledge behind its reception, worked turn by turn."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import select, update

from core.delivery.reception import Reception
from core.dialogue.engine import Engine
from core.domain import Actor, Address, Cue, Hit, InboundMessage, Passage, Reply, Retrieval
from core.ports import Delivery
from core.quota import Allowance
from core.serving.canned import CannedGenerator
from core.serving.extractive import ExtractiveGenerator
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox
from core.storage.quota import SqlBudget
from core.storage.tables import inbox, outbox, turns

HERE = Address("test", "w", "c", "t1")
LEASE = 60.0
CURATED = "Refunds take 14 days."
WRITTEN = "A parcel takes 3 days. It is tracked. [1]"


class TwoArticles:
    """`Retriever` that is sure about refunds and fairly sure about parcels."""

    async def retrieve(self, question: str, limit: int = 5) -> Retrieval:
        known = {
            "refund": Hit(Passage("refund", "refund", "How long does a refund take?", CURATED), 0.95),
            "parcel": Hit(Passage("parcel", "parcel", "How long does a parcel take?", "A parcel takes 3 days. It is tracked."), 0.75),
        }
        return Retrieval(tuple(hit for word, hit in known.items() if word in question), "index-1", "embedder@1")


class NobodyAsks:
    """`PersonDetector` that hears no such wish."""

    async def wants_person(self, text: str) -> bool:
        return False


class Screen:
    """`ChatAdapter` that a test can wait in front of."""

    platform = "test"

    def __init__(self) -> None:
        self.shown: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, delivery: Delivery) -> str:
        self.shown.put_nowait(delivery.reply.text)
        return delivery.key

    async def find(self, delivery: Delivery) -> str | None:
        return None

    async def preview(self, message: InboundMessage, attempt: str, text: str | Cue) -> None:
        pass


class Desk:
    """What the processes of an installation share, and a worker that answers when it is told to."""

    def __init__(self, database: Database, allowance: Allowance = Allowance()) -> None:
        self.database = database
        self.inbox = SqlInbox(database)
        self.outbox = SqlOutbox(database)
        self.log = SqlConversationLog(database)
        self.engine = Engine(TwoArticles(), NobodyAsks(), CannedGenerator(*[WRITTEN] * 20), ExtractiveGenerator())
        self.reception = Reception(self.engine, self.log, SqlBudget(database, allowance))
        self._count = 0

    async def accept(self, text: str = "refund?", address: Address = HERE, actor: str = "ann", for_bot: bool = True) -> InboundMessage:
        self._count += 1
        message = InboundMessage(f"m{self._count}", address, Actor(actor), text, for_bot=for_bot)
        await self.inbox.accept(message)
        return message

    async def answer_all(self) -> list[Reply]:
        """Answer what waits, as a worker does."""
        replies = []
        while (claim := await self.inbox.claim(LEASE)) is not None:
            reply = await self.reception.reply(claim.message, await self.log.history(claim.message.address))
            await self.inbox.finish(claim, reply)
            replies.append(reply)
        return replies

    async def say(self, text: str = "refund?", address: Address = HERE, actor: str = "ann", for_bot: bool = True) -> Reply:
        """Accept one message and return its reply."""
        await self.accept(text, address, actor, for_bot)
        (reply,) = await self.answer_all()
        return reply

    async def deliver_all(self) -> list[Delivery]:
        """Deliver what is ready, as a courier does."""
        delivered = []
        while (delivery := await self.outbox.claim(["test"], LEASE)) is not None:
            await self.outbox.sent(delivery, "reference")
            delivered.append(delivery)
        return delivered

    async def let_pass(self, seconds: float) -> None:
        """Put everything that happened further into the past."""
        async with self.database.write() as connection:
            for key, moment in (
                (inbox.c.inbox_id, inbox.c.accepted_at),
                (turns.c.turn_id, turns.c.answered_at),
                (outbox.c.outbox_id, outbox.c.due_at),
            ):
                for row_id, then in (await connection.execute(select(key, moment))).all():
                    earlier = {moment.name: then - timedelta(seconds=seconds)}
                    await connection.execute(update(key.table).where(key == row_id).values(**earlier))
