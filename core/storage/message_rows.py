"""Messages as rows of the inbox: how they are written and read back."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import RowMapping

from core.domain import Actor, Address, InboundMessage
from core.text import MAX_QUESTION_CHARS, clean


def kept(text: str) -> tuple[str, str]:
    """Return what is kept of a text, and the SHA-256 of all of it."""
    return clean(text)[: MAX_QUESTION_CHARS + 1], hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def row_of(message: InboundMessage) -> dict[str, Any]:
    """Return the columns of a message that is new."""
    words, digest = kept(message.text)
    return {
        "platform": message.address.platform,
        "workspace_id": message.address.workspace_id,
        "channel_id": message.address.channel_id,
        "message_id": message.message_id,
        "order_key": message.order_key,
        "actor_id": message.actor.actor_id,
        "actor_name": message.actor.name,
        "text": words,
        "text_sha256": digest,
        "for_bot": message.for_bot,
        "overheard": message.overheard,
        "draft": message.draft,
        "received_at": message.received_at,
        "state": "new",
        "attempts": 0,
    }


def message_of(row: RowMapping) -> InboundMessage:
    """Return the message of a row that was joined with its conversation."""
    address = Address(row["platform"], row["workspace_id"], row["channel_id"], row["thread_id"])
    actor = Actor(row["actor_id"], row["actor_name"])
    heard = {name: row[name] for name in ("received_at", "for_bot", "overheard", "draft", "order_key")}
    return InboundMessage(row["message_id"], address, actor, row["text"], **heard)


def author_of(message: InboundMessage) -> str:
    """Return how the audit log names who wrote a message."""
    return f"{message.address.platform}:{message.address.workspace_id}:{message.actor.actor_id}"
