"""Conversations that wait for a person or are with one."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_OPEN = sa.text("state IN ('waiting', 'claimed')")
_WAITING = sa.text("state = 'waiting'")
_OVER = sa.text("closed_at IS NOT NULL")


def upgrade() -> None:
    """Make the tables of hand-offs."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "handoffs",
        sa.Column("handoff_id", sa.String(32), primary_key=True),
        sa.Column("conversation_id", sa.String(32), sa.ForeignKey("conversations.conversation_id"), nullable=False),
        sa.Column("turn_id", sa.String(32), sa.ForeignKey("turns.turn_id"), nullable=False),
        sa.Column("platform", sa.String(20), nullable=False),
        sa.Column("workspace_id", sa.String(100), nullable=False),
        sa.Column("customer_id", sa.Text, nullable=False),
        sa.Column("reason", sa.String(30), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("staff_platform", sa.String(20)),
        sa.Column("staff_conversation_id", sa.String(32), sa.ForeignKey("conversations.conversation_id")),
        sa.Column("opened_at", moment, nullable=False),
        sa.Column("waiting_since", moment, nullable=False),
        sa.Column("claimed_at", moment),
        sa.Column("claimed_by", sa.Text),
        sa.Column("claimed_name", sa.Text),
        sa.Column("closed_at", moment),
        sa.Column("closed_by", sa.Text),
        sa.Column("reminded_at", moment),
        sa.Column("escalated_at", moment),
        sa.Column("told_at", moment),
    )
    is_open = {"unique": True, "sqlite_where": _OPEN, "postgresql_where": _OPEN}
    op.create_index("one_open_handoff_here", "handoffs", ["conversation_id"], **is_open)
    op.create_index("one_open_handoff_each", "handoffs", ["platform", "workspace_id", "customer_id"], **is_open)
    op.create_index("handoffs_waiting", "handoffs", ["waiting_since"], sqlite_where=_WAITING, postgresql_where=_WAITING)
    op.create_index("handoffs_over", "handoffs", ["closed_at"], sqlite_where=_OVER, postgresql_where=_OVER)
    op.create_index("handoffs_by_conversation", "handoffs", ["conversation_id", "opened_at"])
    op.create_index("handoffs_by_customer", "handoffs", ["customer_id"])
    op.create_index("handoffs_by_time", "handoffs", ["opened_at"])
    op.create_table(
        "handoff_words",
        sa.Column("key", sa.String(40), primary_key=True),
        sa.Column("handoff_id", sa.String(32), sa.ForeignKey("handoffs.handoff_id"), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("author_name", sa.Text, nullable=False),
        sa.Column("said_at", moment, nullable=False),
    )
    op.create_index("handoff_words_by_handoff", "handoff_words", ["handoff_id", "said_at"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("handoff_words")
    op.drop_table("handoffs")
