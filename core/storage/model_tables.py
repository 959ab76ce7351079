"""The tables of models: versions, the moves of their aliases, what hosts serve, runs of learning; on the metadata of the others."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text, text

from core.storage.tables import Id, Json, UtcDateTime, metadata

models = Table(
    "models",
    metadata,
    Column("model_id", String(200), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("location", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("files", Json, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("dataset_sha256", String(64), nullable=False),
    Column("scores", Json, nullable=False),
    Column("licence", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

model_moves = Table(
    "model_moves",
    metadata,
    Column("assignment_id", Id, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("alias", String(20), nullable=False),
    Column("model_id", String(200), nullable=False),  # empty: nothing
    Column("step", String(20), nullable=False),
    Column("share", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("assigned_at", UtcDateTime, nullable=False),
    Index("model_moves_by_alias", "kind", "alias", "assignment_id"),
)

# What would have become of answers that a challenger wrote silently; nobody judges what nobody saw.
model_shadows = Table(
    "model_shadows",
    metadata,
    Column("shadow_id", Id, primary_key=True, autoincrement=True),
    Column("model_id", String(200), nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("abstained", Boolean, nullable=False),
    Column("quoted", Boolean, nullable=False),
    Index("model_shadows_by_model", "model_id", "written_at"),
)

model_hosts = Table(
    "model_hosts",
    metadata,
    Column("host_id", String(200), primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("report", Text, nullable=False),
)

_GOES_ON = text("state = 'running'")

learning_runs = Table(
    "learning_runs",
    metadata,
    Column("run_id", String(32), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("actor", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),  # its last sign of life
    Column("ended_at", UtcDateTime),
    Column("model_id", String(200), nullable=False),
    Column("against", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("report", Text),  # JSON
    Column("doing", Text),  # JSON
    Index("learning_runs_by_time", "started_at"),
    Index("one_run_goes_on", "state", unique=True, sqlite_where=_GOES_ON, postgresql_where=_GOES_ON),
)
