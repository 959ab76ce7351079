"""Conversations and their turns in SQL."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import (
    Address,
    Citation,
    Decision,
    Exchange,
    Hit,
    InboundMessage,
    Lineage,
    Passage,
    Reason,
    Reply,
    Timings,
    Usage,
    utc_now,
)
from core.ports import Turn
from core.storage.database import Database
from core.storage.tables import conversations, turns
from core.text import MAX_QUESTION_CHARS, clean


class SqlConversationLog:
    """`ConversationLog` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, message: InboundMessage, reply: Reply) -> str:
        """See `ConversationLog.append`."""
        turn_id = uuid.uuid4().hex
        async with self._database.write() as connection:
            conversation_id = await self._conversation(connection, message.address)
            position = await _next_position(connection, conversation_id)
            row = _message_row(message) | _reply_row(reply)
            await connection.execute(turns.insert().values(turn_id=turn_id, conversation_id=conversation_id, position=position, **row))
        return turn_id

    async def history(self, address: Address, limit: int = 4) -> tuple[Exchange, ...]:
        """See `ConversationLog.history`."""
        query = _of(address, turns.c.question, turns.c.text).order_by(turns.c.position.desc()).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(Exchange(row.question, row.text) for row in reversed(rows))

    async def turns(self, address: Address) -> tuple[Turn, ...]:
        """See `ConversationLog.turns`."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_of(address, *turns.c).order_by(turns.c.position))).mappings().all()
        return tuple(Turn(row["turn_id"], row["question"], row["asked_at"], _reply(row)) for row in rows)

    async def _conversation(self, connection: AsyncConnection, address: Address) -> str:
        insert = self._database.insert(conversations).values(conversation_id=uuid.uuid4().hex, started_at=utc_now(), **asdict(address))
        await connection.execute(insert.on_conflict_do_nothing())
        # The row lock keeps two processes from giving two turns the same position (SQLite has one writer anyway).
        found = select(conversations.c.conversation_id).where(*_at(address)).with_for_update()
        conversation_id: str = (await connection.execute(found)).scalar_one()
        return conversation_id


def _at(address: Address) -> tuple[Any, ...]:
    return tuple(conversations.c[name] == value for name, value in asdict(address).items())


def _of(address: Address, *columns: Any) -> Select[Any]:
    return select(*columns).join(conversations, conversations.c.conversation_id == turns.c.conversation_id).where(*_at(address))


async def _next_position(connection: AsyncConnection, conversation_id: str) -> int:
    last = select(func.max(turns.c.position)).where(turns.c.conversation_id == conversation_id)
    return int((await connection.execute(last)).scalar() or 0) + 1


def _message_row(message: InboundMessage) -> dict[str, Any]:
    return {
        "actor_id": message.actor.actor_id,
        "question": clean(message.text)[:MAX_QUESTION_CHARS],
        "question_sha256": hashlib.sha256(message.text.encode(errors="surrogatepass")).hexdigest(),
        "asked_at": message.received_at,
    }


def _reply_row(reply: Reply) -> dict[str, Any]:
    return {
        "answered_at": utc_now(),
        "decision": reply.decision.value,
        "reason": reply.reason.value,
        "text": reply.text,
        "confidence": reply.confidence,
        "citations": [asdict(citation) for citation in reply.citations],
        "hits": [_hit_row(hit) for hit in reply.hits],
        "lineage": asdict(reply.lineage),
        "timings_ms": asdict(reply.timings_ms),
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
    }


def _hit_row(hit: Hit) -> dict[str, Any]:
    # The text stays in the snapshot that `lineage.index` names: five passages a turn would be 5 GB in a million turns.
    passage = hit.passage
    return {
        "passage_id": passage.passage_id,
        "document_id": passage.document_id,
        "title": passage.title,
        "url": passage.url,
        "score": hit.score,
    }


def _reply(row: RowMapping) -> Reply:
    return Reply(
        decision=Decision(row["decision"]),
        reason=Reason(row["reason"]),
        text=row["text"],
        citations=tuple(Citation(**citation) for citation in row["citations"]),
        confidence=row["confidence"],
        lineage=Lineage(**row["lineage"]),
        timings_ms=Timings(**row["timings_ms"]),
        usage=Usage(row["prompt_tokens"], row["completion_tokens"]),
        hits=tuple(_hit(hit) for hit in row["hits"]),
    )


def _hit(row: dict[str, Any]) -> Hit:
    passage = Passage(row["passage_id"], row["document_id"], row["title"], text="", url=row["url"])
    return Hit(passage, row["score"])
