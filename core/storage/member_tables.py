"""The tables of who may sign in and who is; on the metadata of the others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, Index, String, Table, Text, text

from core.storage.tables import Id, UtcDateTime, metadata

_PRESENT = "removed_at IS NULL"
_present: Any = {"sqlite_where": text(_PRESENT), "postgresql_where": text(_PRESENT)}

members = Table(
    "members",
    metadata,
    Column("member_id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("role", String(10), nullable=False),
    Column("workspaces", Text),  # JSON; NULL: every one
    Column("password", Text),
    Column("issuer", Text),
    Column("subject", Text),
    Column("added_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),  # the row stays: the audit log names its id
    Index("members_by_name", "name_key", unique=True, **_present),
    Index("members_by_identity", "issuer", "subject", unique=True, **_present),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("member_id", String(32), ForeignKey("members.member_id"), nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Index("sessions_by_member", "member_id"),
    Index("sessions_by_time", "begun_at"),
)

tickets = Table(
    "tickets",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("purpose", String(20), nullable=False),
    Column("payload", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("tickets_by_time", "expires_at"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_id", Id, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("attempts_by_key", "key", "at"),
    Index("attempts_by_time", "at"),
)
