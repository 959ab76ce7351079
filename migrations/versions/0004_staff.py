"""What staff set, say and may do: channels, previews, feedback, audit, corrections, secrets, and turns found by author or message."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Time = sa.DateTime(timezone=True)
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PENDING = sa.text("state = 'pending'")
REFERRED = sa.text("reference IS NOT NULL")


def upgrade() -> None:
    op.create_table("channels", *_address("platform", "workspace_id", "channel_id"), *_channel())
    op.create_table("previews", *_address("platform", "workspace_id", "channel_id", "thread_id"), *_preview())
    _create_feedback()
    _create_audit()
    _create_corrections()
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("expires_at", Time),
        sa.Column("changed_at", Time, nullable=False),
    )
    op.create_index("turns_by_actor", "turns", ["actor_id", "asked_at"])
    op.create_index("outbox_by_reference", "outbox", ["reference"], sqlite_where=REFERRED, postgresql_where=REFERRED)


def _address(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.String(20 if name == "platform" else 100), primary_key=True) for name in names]


def _channel() -> list[sa.Column]:
    return [
        sa.Column("mode", sa.String(20)),
        sa.Column("muted", sa.Boolean, nullable=False),
        sa.Column("changed_at", Time, nullable=False),
    ]


def _preview() -> list[sa.Column]:
    return [
        sa.Column("attempt", sa.String(100), nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("begun_at", Time, nullable=False),
    ]


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("turn_id", sa.String(32), sa.ForeignKey("turns.turn_id"), primary_key=True),
        sa.Column("actor_id", sa.Text, primary_key=True),
        sa.Column("helpful", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String(20)),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("given_at", Time, nullable=False),
    )
    op.create_index("feedback_by_actor", "feedback", ["actor_id"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("audit_id", Id, primary_key=True, autoincrement=True),
        sa.Column("at", Time, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("result", sa.String(40), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.UniqueConstraint("previous", name="one_row_after_each"),
    )
    op.create_index("audit_by_action", "audit", ["action", "at"])


def _create_corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("correction_id", sa.String(32), primary_key=True),
        sa.Column("turn_id", sa.String(32), sa.ForeignKey("turns.turn_id")),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("cause", sa.String(30), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("proposed_at", Time, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.UniqueConstraint("digest", name="one_row_per_draft"),
    )
    op.create_index("corrections_pending", "corrections", ["proposed_at"], sqlite_where=PENDING, postgresql_where=PENDING)
    op.create_index("corrections_by_turn", "corrections", ["turn_id"])


def downgrade() -> None:
    op.drop_index("outbox_by_reference", "outbox")
    op.drop_index("turns_by_actor", "turns")
    for table in ("secrets", "corrections", "audit", "feedback", "previews", "channels"):
        op.drop_table(table)
