"""The tables of what staff look through; on the metadata of the others.

`turn_words` is no table of the metadata: FTS5 on SQLite, a tsvector on PostgreSQL. Triggers of migration 0013 keep it, `turn_index` and
its column `helpful` in step with turns and feedback.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    column,
    table,
    text,
)

from core.figures import LATENCY_BOUNDS_MS
from core.storage.tables import Id, UtcDateTime, metadata

# Queries that want these partial indexes must say the same words: SQLite compares the text.
REVIEW_WAITS = "verdict IS NULL"
JUDGED = "helpful IS NOT NULL"

reviews = Table(
    "reviews",
    metadata,
    Column("turn_id", String(32), ForeignKey("turns.turn_id"), primary_key=True),
    Column("platform", String(20), nullable=False),
    Column("workspace_id", String(100), nullable=False),
    Column("risk", Integer, nullable=False),  # the value of `core.reviews.Sign`
    Column("queued_at", UtcDateTime, nullable=False),
    Column("claimed_by", Text),
    Column("claimed_until", UtcDateTime),
    Column("verdict", String(20)),
    Column("reviewer", Text),
    Column("decided_at", UtcDateTime),
    Index("reviews_waiting", "risk", "queued_at", "turn_id", sqlite_where=text(REVIEW_WAITS), postgresql_where=text(REVIEW_WAITS)),
    Index(
        "reviews_waiting_here",
        "platform",
        "workspace_id",
        "risk",
        "queued_at",
        "turn_id",
        sqlite_where=text(REVIEW_WAITS),
        postgresql_where=text(REVIEW_WAITS),
    ),
    Index("reviews_waiting_since", "queued_at", sqlite_where=text(REVIEW_WAITS), postgresql_where=text(REVIEW_WAITS)),
)

turn_index = Table(
    "turn_index",
    metadata,
    Column("number", Id, primary_key=True, autoincrement=False),  # milliseconds of the question, then 20 bits: `core.search.number_at`
    Column("turn_id", String(32), ForeignKey("turns.turn_id"), nullable=False),
    Column("platform", String(20), nullable=False),
    Column("workspace_id", String(100), nullable=False),
    Column("decision", String(20), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("model", String(200)),
    Column("total_ms", Integer, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("helpful", Boolean),  # false: somebody found it unhelpful; NULL: nobody said
    UniqueConstraint("turn_id", name="one_number_per_turn"),
    Index("turn_index_judged", "helpful", "number", sqlite_where=text(JUDGED), postgresql_where=text(JUDGED)),
)

turn_words = table("turn_words", column("number"), column("words"), column("rowid"))

COUNTS = ("turns", "resolved", "abstained", "clarified", "handed_over", "helpful", "unhelpful")
TOKENS = ("prompt_tokens", "completion_tokens")
LATENCIES = tuple(f"latency_{number:02}" for number in range(len(LATENCY_BOUNDS_MS) + 1))

day_figures = Table(
    "day_figures",
    metadata,
    Column("day", Date, primary_key=True),
    Column("platform", String(20), primary_key=True),
    Column("workspace_id", String(100), primary_key=True),
    Column("model", String(200), primary_key=True),  # empty: no model wrote
    *(Column(name, Integer, nullable=False) for name in COUNTS),
    *(Column(name, BigInteger, nullable=False) for name in TOKENS),
    *(Column(name, Integer, nullable=False) for name in LATENCIES),  # how many turns took up to `LATENCY_BOUNDS_MS`, the last: longer
)

rollups = Table(
    "rollups",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("until", UtcDateTime, nullable=False),  # what was written before it is counted
)
