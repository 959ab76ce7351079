"""The tables of conversations that wait for a person or are with one; on the metadata of the others."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, text

from core.storage.tables import UtcDateTime, metadata

# Queries that want these partial indexes must say the same words: SQLite compares the text.
IS_OPEN = "state IN ('waiting', 'claimed')"
IS_WAITING = "state = 'waiting'"
IS_OVER = "closed_at IS NOT NULL"

handoffs = Table(
    "handoffs",
    metadata,
    Column("handoff_id", String(32), primary_key=True),
    Column("conversation_id", String(32), ForeignKey("conversations.conversation_id"), nullable=False),
    Column("turn_id", String(32), ForeignKey("turns.turn_id"), nullable=False),  # what it was opened for: the packet ends there
    Column("platform", String(20), nullable=False),
    Column("workspace_id", String(100), nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("reason", String(30), nullable=False),
    Column("state", String(10), nullable=False),  # waiting | claimed | returned | solved
    Column("staff_platform", String(20)),  # where staff have a thread about it; NULL: nowhere
    Column("staff_conversation_id", String(32), ForeignKey("conversations.conversation_id")),  # what goes into that thread, in order
    Column("opened_at", UtcDateTime, nullable=False),
    Column("waiting_since", UtcDateTime, nullable=False),  # later than `opened_at` when they asked again after nobody came
    Column("claimed_at", UtcDateTime),
    Column("claimed_by", Text),
    Column("claimed_name", Text),
    Column("closed_at", UtcDateTime),
    Column("closed_by", Text),
    Column("reminded_at", UtcDateTime),
    Column("escalated_at", UtcDateTime),
    Column("told_at", UtcDateTime),  # the customer knows that nobody came
    Index("one_open_handoff_here", "conversation_id", unique=True, sqlite_where=text(IS_OPEN), postgresql_where=text(IS_OPEN)),
    Index(
        "one_open_handoff_each",
        "platform",
        "workspace_id",
        "customer_id",
        unique=True,
        sqlite_where=text(IS_OPEN),
        postgresql_where=text(IS_OPEN),
    ),
    Index("handoffs_waiting", "waiting_since", sqlite_where=text(IS_WAITING), postgresql_where=text(IS_WAITING)),
    Index("handoffs_over", "closed_at", sqlite_where=text(IS_OVER), postgresql_where=text(IS_OVER)),  # without it 734 ms among 70,000
    Index("handoffs_by_conversation", "conversation_id", "opened_at"),
    Index("handoffs_by_customer", "customer_id"),
    Index("handoffs_by_time", "opened_at"),
)

handoff_words = Table(
    "handoff_words",
    metadata,
    Column("key", String(40), primary_key=True),  # of the row of the outbox that holds the words
    Column("handoff_id", String(32), ForeignKey("handoffs.handoff_id"), nullable=False),
    Column("author", Text, nullable=False),
    Column("author_name", Text, nullable=False),
    Column("said_at", UtcDateTime, nullable=False),
    Index("handoff_words_by_handoff", "handoff_id", "said_at"),
)
