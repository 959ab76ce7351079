"""The tables, as the newest migration leaves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
Json = JSON().with_variant(JSONB(), "postgresql")
Id = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only an INTEGER
_WAITS = "state IN ('new', 'claimed')"
# Queries that want these partial indexes must say the same words: SQLite compares the text.
TOLD = "reason IN ('too_many', 'nothing_to_read') AND decision <> 'silent'"
USED_TOKENS = "prompt_tokens > 0"
IS_NOTICE = "turn_id IS NULL"
MESSAGE_KEPT = "text <> ''"
TURN_KEPT = "(text <> '' OR question <> '')"
UNANSWERED = "reason IN ('low_confidence', 'close_candidates')"
_REFERRED = "reference IS NOT NULL"
_WRITTEN = "model IS NOT NULL"
UNDELIVERED = ("pending", "sending", "uncertain")
_UNDELIVERED = "state IN ('pending', 'sending', 'uncertain')"


_for_bot: Any = {"sqlite_where": text("for_bot = 1"), "postgresql_where": text("for_bot")}


def among(column: Column[str], *states: str) -> ColumnElement[bool]:
    """Return `column IN (states)` with the states in the text, not as parameters.

    Without this SQLite takes no partial index: a claim then reads all of a million finished rows.
    """
    return column.in_([literal_column(f"'{state}'") for state in states])


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        read: datetime | None = value
        return read.replace(tzinfo=UTC) if read and read.tzinfo is None else read


passages = Table(
    "passages",
    metadata,
    Column("knowledge", String(100), primary_key=True),
    Column("passage_id", String(200), primary_key=True),
    Column("document_id", String(200), nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("alternatives", Json, nullable=False),
    Column("url", Text),
    Column("category", Text),
    Column("locale", String(35)),
    Column("tags", Json, nullable=False),
    Column("curated", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("import_id", String(32), nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("passages_by_source", "knowledge", "source"),
)

releases = Table(
    "releases",
    metadata,
    Column("knowledge", String(100), primary_key=True),
    Column("version", String(100), primary_key=True),
    Column("passages", Integer, nullable=False),
    Column("embedder", Text, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
)

activations = Table(
    "activations",
    metadata,
    Column("activation_id", Integer, primary_key=True, autoincrement=True),
    Column("knowledge", String(100), nullable=False),
    Column("version", String(100), nullable=False),
    Column("actor", Text, nullable=False),
    Column("activated_at", UtcDateTime, nullable=False),
    Index("activations_by_knowledge", "knowledge", "activation_id"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("conversation_id", String(32), primary_key=True),
    Column("platform", String(20), nullable=False),
    Column("workspace_id", String(100), nullable=False),
    Column("channel_id", String(100), nullable=False),
    Column("thread_id", String(100), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    # Set while messages wait: when the first of them is due. The lease is on the conversation, so two workers never answer in one.
    Column("due_at", UtcDateTime),
    Column("lease", String(32)),
    Column("lease_until", UtcDateTime),
    Column("owner", String(10), nullable=False, server_default="bot"),  # bot | staff
    Column("handoff_at", UtcDateTime),  # set while staff know that somebody waits here
    Index("conversations_due", "due_at", sqlite_where=text("due_at IS NOT NULL"), postgresql_where=text("due_at IS NOT NULL")),
    Index(
        "conversations_leased",
        "workspace_id",
        "lease_until",
        sqlite_where=text("lease_until IS NOT NULL"),
        postgresql_where=text("lease_until IS NOT NULL"),
    ),
    UniqueConstraint("platform", "workspace_id", "channel_id", "thread_id", name="one_conversation_per_address"),
)

turns = Table(
    "turns",
    metadata,
    Column("turn_id", String(32), primary_key=True),
    Column("conversation_id", String(32), ForeignKey("conversations.conversation_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("inbox_id", Id, ForeignKey("inbox.inbox_id")),
    Column("actor_id", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("question_sha256", String(64), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime, nullable=False),
    Column("decision", String(20), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("text", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("citations", Json, nullable=False),
    Column("hits", Json, nullable=False),
    Column("lineage", Json, nullable=False),
    Column("timings_ms", Json, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("model", String(200)),  # the version that wrote it; NULL where none did, and in turns of before it was kept
    UniqueConstraint("conversation_id", "position", name="one_turn_per_position"),
    UniqueConstraint("inbox_id", name="one_turn_per_message"),
    Index("turns_told_here", "conversation_id", "answered_at", sqlite_where=text(TOLD), postgresql_where=text(TOLD)),
    Index("turns_told_actor", "actor_id", "answered_at", sqlite_where=text(TOLD), postgresql_where=text(TOLD)),
    Index(
        "turns_with_tokens",
        "answered_at",
        "prompt_tokens",
        "completion_tokens",
        sqlite_where=text(USED_TOKENS),
        postgresql_where=text(USED_TOKENS),
    ),
    Index("turns_by_actor", "actor_id", "asked_at"),
    Index("turns_by_model", "model", "answered_at", sqlite_where=text(_WRITTEN), postgresql_where=text(_WRITTEN)),
    Index("turns_kept", "asked_at", sqlite_where=text(TURN_KEPT), postgresql_where=text(TURN_KEPT)),
    Index("turns_unanswered", "asked_at", sqlite_where=text(UNANSWERED), postgresql_where=text(UNANSWERED)),
)

inbox = Table(
    "inbox",
    metadata,
    Column("inbox_id", Id, primary_key=True, autoincrement=True),
    Column("conversation_id", String(32), ForeignKey("conversations.conversation_id"), nullable=False),
    Column("platform", String(20), nullable=False),
    Column("workspace_id", String(100), nullable=False),
    Column("channel_id", String(100), nullable=False),
    Column("message_id", String(100), nullable=False),
    Column("order_key", String(40), nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("text_sha256", String(64), nullable=False),
    Column("for_bot", Boolean, nullable=False),
    Column("overheard", Boolean, nullable=False, server_default=false()),
    Column("draft", Boolean, nullable=False, server_default=false()),
    Column("received_at", UtcDateTime, nullable=False),
    Column("accepted_at", UtcDateTime, nullable=False, server_default=func.now()),  # by the clock of the database: limits count by it
    Column("state", String(10), nullable=False),  # new | claimed | done | dead | cancelled
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text),
    Column("turn_id", String(32)),  # the turn that answers it, several messages may share one
    UniqueConstraint("platform", "workspace_id", "channel_id", "message_id", name="one_row_per_message"),
    Index("inbox_waiting", "conversation_id", sqlite_where=text(_WAITS), postgresql_where=text(_WAITS)),
    # A minute of messages, however many rows there are; each serves one limit.
    Index("inbox_by_actor", "workspace_id", "actor_id", "accepted_at", **_for_bot),
    Index("inbox_by_conversation", "conversation_id", "accepted_at", **_for_bot),
    Index("inbox_by_workspace", "workspace_id", "accepted_at", **_for_bot),
    Index("inbox_by_time", "accepted_at", **_for_bot),
    Index("inbox_kept", "received_at", sqlite_where=text(MESSAGE_KEPT), postgresql_where=text(MESSAGE_KEPT)),
    Index("inbox_dead", "state", sqlite_where=text("state = 'dead'"), postgresql_where=text("state = 'dead'")),
)

outbox = Table(
    "outbox",
    metadata,
    Column("outbox_id", Id, primary_key=True, autoincrement=True),
    Column("turn_id", String(32), ForeignKey("turns.turn_id")),  # what is delivered; `text` without one, or where staff changed it
    Column("text", Text),
    Column("part", Integer, nullable=False),
    Column("conversation_id", String(32), ForeignKey("conversations.conversation_id"), nullable=False),
    Column("platform", String(20), nullable=False),
    Column("key", String(40), nullable=False),
    Column("action", String(10), nullable=False, server_default="reply"),  # reply | draft | alert | notice
    Column("state", String(10), nullable=False),  # pending | sending | uncertain | sent | dead | dropped
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("lease", String(32)),
    Column("lease_until", UtcDateTime),
    Column("reference", Text),
    Column("last_error", Text),
    Column("sent_at", UtcDateTime),
    UniqueConstraint("turn_id", "part", name="one_row_per_part"),
    UniqueConstraint("key", name="one_row_per_key"),
    Index("outbox_due", "due_at", sqlite_where=text(_UNDELIVERED), postgresql_where=text(_UNDELIVERED)),
    Index("outbox_by_reference", "reference", sqlite_where=text(_REFERRED), postgresql_where=text(_REFERRED)),
    Index("outbox_notices", "conversation_id", sqlite_where=text(IS_NOTICE), postgresql_where=text(IS_NOTICE)),
    Index("outbox_order", "conversation_id", "outbox_id", sqlite_where=text(_UNDELIVERED), postgresql_where=text(_UNDELIVERED)),
)
