"""Members of staff, their sessions, sign-in links, and how often somebody tried."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

Time = sa.DateTime(timezone=True)
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PRESENT = {"sqlite_where": sa.text("removed_at IS NULL"), "postgresql_where": sa.text("removed_at IS NULL")}


def upgrade() -> None:
    op.create_table(
        "members",
        sa.Column("member_id", sa.String(32), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("workspaces", sa.Text),
        sa.Column("password", sa.Text),
        sa.Column("issuer", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("added_at", Time, nullable=False),
        sa.Column("removed_at", Time),
    )
    op.create_index("members_by_name", "members", ["name_key"], unique=True, **PRESENT)
    op.create_index("members_by_identity", "members", ["issuer", "subject"], unique=True, **PRESENT)
    _create_sessions()
    _create_tickets()
    _create_attempts()
    op.create_index("audit_by_actor", "audit", ["actor", "audit_id"])  # what one of them did, among a million entries


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("member_id", sa.String(32), sa.ForeignKey("members.member_id"), nullable=False),
        sa.Column("begun_at", Time, nullable=False),
        sa.Column("seen_at", Time, nullable=False),
    )
    op.create_index("sessions_by_member", "sessions", ["member_id"])
    op.create_index("sessions_by_time", "sessions", ["begun_at"])


def _create_tickets() -> None:
    op.create_table(
        "tickets",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("expires_at", Time, nullable=False),
    )
    op.create_index("tickets_by_time", "tickets", ["expires_at"])


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("attempt_id", Id, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("at", Time, nullable=False),
    )
    op.create_index("attempts_by_key", "attempts", ["key", "at"])
    op.create_index("attempts_by_time", "attempts", ["at"])


def downgrade() -> None:
    op.drop_index("audit_by_actor", "audit")
    for table in ("attempts", "tickets", "sessions", "members"):
        op.drop_table(table)
