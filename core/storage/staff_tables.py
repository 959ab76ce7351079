"""The tables of what staff set, say and may do, and of what they must be able to look up; on the metadata of the others."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, false, text

from core.storage.tables import Id, Json, UtcDateTime, metadata

PENDING = "state = 'pending'"
DECIDED = "decided_at IS NOT NULL"

channels = Table(
    "channels",
    metadata,
    Column("platform", String(20), primary_key=True),
    Column("workspace_id", String(100), primary_key=True),
    Column("channel_id", String(100), primary_key=True),
    Column("mode", String(20)),  # NULL: nobody set it
    Column("muted", Boolean, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

previews = Table(
    "previews",
    metadata,
    Column("platform", String(20), primary_key=True),
    Column("workspace_id", String(100), primary_key=True),
    Column("channel_id", String(100), primary_key=True),
    Column("thread_id", String(100), primary_key=True),
    Column("attempt", String(100), nullable=False),
    Column("reference", Text),  # NULL: nobody knows yet whether it was posted
    Column("begun_at", UtcDateTime, nullable=False),
    Column("leaving", Boolean, nullable=False, server_default=false()),  # somebody has begun to take it away
)

positions = Table(
    "positions",
    metadata,
    Column("platform", String(20), primary_key=True),
    Column("channel_id", String(100), primary_key=True),
    Column("workspace_id", String(100), nullable=False),
    Column("message_id", BigInteger, nullable=False),
    Index("positions_by_message", "platform", "message_id"),
)

slots = Table(
    "slots",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("free_at", UtcDateTime, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("turn_id", String(32), ForeignKey("turns.turn_id"), primary_key=True),
    Column("actor_id", Text, primary_key=True),
    Column("helpful", Boolean, nullable=False),
    Column("reason", String(20)),
    Column("comment", Text, nullable=False),
    Column("given_at", UtcDateTime, nullable=False),
    Index("feedback_by_actor", "actor_id"),
    Index("feedback_by_time", "given_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("audit_id", Id, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(60), nullable=False),
    Column("target", Text, nullable=False),
    Column("result", String(40), nullable=False),
    Column("detail", Text, nullable=False),  # JSON as text: JSONB would not give back the very characters that were hashed
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("previous", name="one_row_after_each"),  # the chain cannot fork, whoever writes
    Index("audit_by_action", "action", "at"),
    Index("audit_by_actor", "actor", "audit_id"),
)

corrections = Table(
    "corrections",
    metadata,
    Column("correction_id", String(32), primary_key=True),
    Column("turn_id", String(32), ForeignKey("turns.turn_id")),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("cause", String(30), nullable=False),
    Column("author", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("alternatives", Json, nullable=False, server_default=text("'[]'")),
    Column("platform", String(20), nullable=False, server_default=""),  # empty: of no workspace
    Column("workspace_id", String(100), nullable=False, server_default=""),
    Column("own_words", Boolean, nullable=False, server_default=false()),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("revised_by", Text),
    Column("decided_by", Text),
    Column("decided_at", UtcDateTime),
    Column("decision_reason", Text),
    Column("passage_id", String(200)),
    UniqueConstraint("digest", name="one_row_per_draft"),
    Index("corrections_pending", "proposed_at", sqlite_where=text(PENDING), postgresql_where=text(PENDING)),
    Index("corrections_by_turn", "turn_id"),
    Index("corrections_decided", "state", "decided_at", sqlite_where=text(DECIDED), postgresql_where=text(DECIDED)),
)

correction_versions = Table(
    "correction_versions",
    metadata,
    Column("correction_id", String(32), ForeignKey("corrections.correction_id"), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("alternatives", Json, nullable=False),
    Column("cause", String(30), nullable=False),
    Column("author", Text, nullable=False),
    Column("replaced_at", UtcDateTime, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("changed_at", UtcDateTime, nullable=False),
)
