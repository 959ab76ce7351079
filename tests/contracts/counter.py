"""A counter where people ask, on each kind of storage: puts turns in, and sees what would be delivered."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Protocol

from core.corrections import CorrectionStore
from core.domain import Action, Actor, Address, Decision, InboundMessage, Lineage, Reason, Reply, utc_now
from core.drafts import Drafts
from core.feedback import FeedbackLog
from core.knowledge import KnowledgeStore
from core.ports import Claim, Delivery
from core.presence import Channels
from core.previews import Previews
from core.privacy import PrivacyDesk
from core.review import TurnBook, TurnRecord
from core.storage.channels import SqlChannels
from core.storage.correction_store import SqlCorrectionStore
from core.storage.database import Database
from core.storage.drafts import SqlDrafts
from core.storage.feedback import SqlFeedbackLog
from core.storage.inbox import SqlInbox
from core.storage.knowledge_store import SqlKnowledgeStore
from core.storage.memory import MemoryKnowledgeStore
from core.storage.memory_corrections import MemoryCorrectionStore
from core.storage.memory_records import MemoryPrivacyDesk
from core.storage.memory_staff import (
    MemoryChannels,
    MemoryDrafts,
    MemoryFeedbackLog,
    MemoryPreviews,
    MemoryTurnBook,
    Queued,
)
from core.storage.outbox import SqlOutbox
from core.storage.previews import SqlPreviews
from core.storage.privacy import SqlPrivacyDesk
from core.storage.turn_book import SqlTurnBook

HERE = Address("test", "w", "c", "t1")
REPLY = Reply(Decision.DIRECT, Reason.CONFIDENT, "By card.", (), 0.9, Lineage("m", "i", "p", "e", "policy"))


class Counter(Protocol):
    """People ask here, and the stores of staff look at what came of it."""

    book: TurnBook
    channels: Channels
    feedback: FeedbackLog
    corrections: CorrectionStore
    knowledge: KnowledgeStore
    drafts: Drafts
    previews: Previews
    privacy: PrivacyDesk

    async def ask(
        self,
        text: str = "?",
        address: Address = HERE,
        actor: str = "ann",
        reply: Reply = REPLY,
        *,
        for_bot: bool = True,
        draft: bool = False,
    ) -> str:
        """Ask, have it answered, and return the turn id."""
        ...

    async def attempt(self) -> str:
        """Begin to answer a new message `HERE`, in place of whoever did before; return the name of the attempt."""
        ...

    async def bring(self, turn_id: str, reference: str) -> None:
        """Let the platform show what a turn says as the message `reference`; whatever was queued before it is delivered too."""
        ...

    async def queued(self) -> list[Queued]:
        """Deliver what is queued for customers, and return it in order."""
        ...


class MemoryCounter:
    """`Counter` on the stores in dictionaries."""

    def __init__(self) -> None:
        self.book = MemoryTurnBook()
        self.channels = MemoryChannels(self.book)
        self.feedback = MemoryFeedbackLog(self.book)
        self.knowledge = MemoryKnowledgeStore()
        self.corrections = MemoryCorrectionStore(self.book, self.knowledge)
        self.drafts = MemoryDrafts(self.book)
        self.previews = MemoryPreviews()
        self.privacy = MemoryPrivacyDesk(self.book, self.feedback, self.corrections)

    async def ask(
        self,
        text: str = "?",
        address: Address = HERE,
        actor: str = "ann",
        reply: Reply = REPLY,
        *,
        for_bot: bool = True,
        draft: bool = False,
    ) -> str:
        record = TurnRecord(uuid.uuid4().hex, address, actor, text, reply, utc_now(), conversation_id=str(address))
        self.book.add(record, for_bot=for_bot, draft=draft)
        return record.turn_id

    async def attempt(self) -> str:
        attempt = uuid.uuid4().hex
        self.previews.hold(HERE, attempt)
        return attempt

    async def bring(self, turn_id: str, reference: str) -> None:
        self.book.refer(turn_id, reference)

    async def queued(self) -> list[Queued]:
        found, self.drafts.queued = self.drafts.queued, []
        return found


class SqlCounter:
    """`Counter` on a database."""

    def __init__(self, database: Database) -> None:
        self._inbox, self._outbox = SqlInbox(database), SqlOutbox(database)
        self._number = 0
        self.book = SqlTurnBook(database)
        self.channels = SqlChannels(database)
        self.feedback = SqlFeedbackLog(database)
        self.knowledge = SqlKnowledgeStore(database)
        self.corrections = SqlCorrectionStore(database)
        self.drafts = SqlDrafts(database)
        self.previews = SqlPreviews(database)
        self.privacy = SqlPrivacyDesk(database)

    async def ask(
        self,
        text: str = "?",
        address: Address = HERE,
        actor: str = "ann",
        reply: Reply = REPLY,
        *,
        for_bot: bool = True,
        draft: bool = False,
    ) -> str:
        self._number += 1
        await self._inbox.accept(
            InboundMessage(f"m{self._number}", address, Actor(actor, f"{actor.title()} Canary"), text, for_bot=for_bot, draft=draft)
        )
        claim = await self._inbox.claim(60)
        assert claim is not None
        return await self._inbox.finish(claim, reply)

    async def attempt(self) -> str:
        return (await self.claim()).lease

    async def claim(self) -> Claim:
        """Claim a new message for no time at all, so that the next one may at once."""
        self._number += 1
        await self._inbox.accept(InboundMessage(f"m{self._number}", HERE, Actor("ann"), "?"))
        claim = await self._inbox.claim(0)
        assert claim is not None
        return claim

    async def bring(self, turn_id: str, reference: str) -> None:
        assert turn_id in [
            delivery.turn_id for delivery in await self._deliver(lambda one: reference if one.turn_id == turn_id else one.key)
        ]

    async def queued(self) -> list[Queued]:
        said = [one for one in await self._deliver(lambda one: one.key) if one.action is Action.NOTICE or one.key.endswith("-2")]
        return [Queued(one.address, one.action, one.reply.text) for one in said]

    async def _deliver(self, reference: Callable[[Delivery], str]) -> list[Delivery]:
        deliveries = []
        while (delivery := await self._outbox.claim(["test"], 60)) is not None:
            deliveries.append(delivery)
            await self._outbox.sent(delivery, reference(delivery))
        return deliveries
