"""Turns as rows: how a message and its reply are written and read back."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import (
    Address,
    Citation,
    Decision,
    Hit,
    InboundMessage,
    Lineage,
    Owner,
    Passage,
    Reason,
    Reply,
    Timings,
    Usage,
    utc_now,
)
from core.registry import MAX_ID_CHARS
from core.storage.correction_rows import blank_questions
from core.storage.database import Database
from core.storage.review_rows import review_row
from core.storage.review_tables import reviews
from core.storage.staff_tables import corrections
from core.storage.tables import conversations, inbox, turns
from core.text import MAX_QUESTION_CHARS, clean

_NO_MODEL = ("curated", "none")  # what stands in a lineage where no model wrote


def at(address: Address) -> tuple[Any, ...]:
    """Return the conditions that select the conversation at `address`."""
    return tuple(conversations.c[name] == value for name, value in asdict(address).items())


async def conversation_at(database: Database, connection: AsyncConnection, address: Address) -> str:
    """Return the id of the conversation at `address`, made if need be, and lock its row until the transaction ends."""
    insert = database.insert(conversations).values(conversation_id=uuid.uuid4().hex, started_at=utc_now(), **asdict(address))
    await connection.execute(insert.on_conflict_do_nothing())
    found = select(conversations.c.conversation_id).where(*at(address)).with_for_update()
    conversation_id: str = (await connection.execute(found)).scalar_one()
    return conversation_id


async def give_to_staff(connection: AsyncConnection, conversation_id: str, now: datetime) -> None:
    """Make staff the owner of a conversation, and stop what is being written in it."""
    this = conversations.c.conversation_id == conversation_id
    await connection.execute(update(conversations).where(this).values(owner=Owner.STAFF.value))
    await fence_out(connection, conversation_id, now)


async def fence_out(connection: AsyncConnection, conversation_id: str, now: datetime) -> None:
    """Take the lease from whoever is writing an answer: it could no longer be stopped once staff have begun to write."""
    leased = (conversations.c.conversation_id == conversation_id, conversations.c.lease.is_not(None))
    freed = update(conversations).where(*leased).values(lease=None, lease_until=None, due_at=now)
    if (await connection.execute(freed)).rowcount:
        written = update(inbox).where(inbox.c.conversation_id == conversation_id, inbox.c.state == "claimed")
        await connection.execute(written.values(state="new", attempts=inbox.c.attempts - 1))


async def add_turn(
    connection: AsyncConnection, conversation_id: str, message: InboundMessage, reply: Reply, inbox_id: int | None = None
) -> str:
    """Write a turn at the end of a conversation whose row is locked, and return its id."""
    turn_id = uuid.uuid4().hex
    last = select(func.max(turns.c.position)).where(turns.c.conversation_id == conversation_id)
    position = int((await connection.execute(last)).scalar() or 0) + 1
    row = message_row(message) | reply_row(reply)
    keys = {"turn_id": turn_id, "conversation_id": conversation_id, "position": position, "inbox_id": inbox_id}
    await connection.execute(turns.insert().values(**keys, **row))
    if review := review_row(turn_id, message.address, row["question"], reply, row["answered_at"]):
        await connection.execute(reviews.insert().values(**review))
    return turn_id


async def forget_question(connection: AsyncConnection, turn_id: str | None) -> None:
    """Forget what a customer asked and has taken back, in corrections in their words too."""
    # Their hashes go too: a short text can be found by trying.
    await connection.execute(update(turns).where(turns.c.turn_id == turn_id).values(question="", question_sha256=""))
    await blank_questions(connection, (corrections.c.turn_id == turn_id) & corrections.c.own_words)


def message_row(message: InboundMessage) -> dict[str, Any]:
    """Return the columns that a message fills."""
    return {
        "actor_id": message.actor.actor_id,
        "question": clean(message.text)[:MAX_QUESTION_CHARS],
        "question_sha256": hashlib.sha256(message.text.encode(errors="surrogatepass")).hexdigest(),
        "asked_at": message.received_at,
    }


def reply_row(reply: Reply) -> dict[str, Any]:
    """Return the columns that a reply fills."""
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
        "model": None
        if reply.lineage.model in _NO_MODEL
        else reply.lineage.model[:MAX_ID_CHARS],  # too long a name must not lose an answer
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


def reply_of(row: Mapping[Any, Any]) -> Reply:
    """Return the reply of a row; its passages come without their text, which the snapshot holds."""
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
