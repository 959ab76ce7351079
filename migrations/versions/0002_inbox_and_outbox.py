"""Accepted messages, leases on conversations, and replies to deliver."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Time = sa.DateTime(timezone=True)
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def upgrade() -> None:
    op.create_table(
        "inbox",
        sa.Column("inbox_id", Id, primary_key=True, autoincrement=True),
        sa.Column("conversation_id", sa.String(32), sa.ForeignKey("conversations.conversation_id"), nullable=False),
        sa.Column("platform", sa.String(20), nullable=False),
        sa.Column("workspace_id", sa.String(100), nullable=False),
        sa.Column("channel_id", sa.String(100), nullable=False),
        sa.Column("message_id", sa.String(100), nullable=False),
        sa.Column("order_key", sa.String(40), nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("actor_name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("text_sha256", sa.String(64), nullable=False),
        sa.Column("for_bot", sa.Boolean, nullable=False),
        sa.Column("received_at", Time, nullable=False),
        sa.Column("accepted_at", Time, nullable=False, server_default=sa.func.now()),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("turn_id", sa.String(32)),
        sa.UniqueConstraint("platform", "workspace_id", "channel_id", "message_id", name="one_row_per_message"),
    )
    _partial("inbox_waiting", "inbox", ["conversation_id"], "state IN ('new', 'claimed')")
    for_bot = {"sqlite_where": sa.text("for_bot = 1"), "postgresql_where": sa.text("for_bot")}
    op.create_index("inbox_by_actor", "inbox", ["workspace_id", "actor_id", "accepted_at"], **for_bot)
    op.create_index("inbox_by_conversation", "inbox", ["conversation_id", "accepted_at"], **for_bot)
    op.create_index("inbox_by_workspace", "inbox", ["workspace_id", "accepted_at"], **for_bot)
    op.create_index("inbox_by_time", "inbox", ["accepted_at"], **for_bot)
    _partial("inbox_dead", "inbox", ["state"], "state = 'dead'")
    # Not in batch mode: SQLite would make the table anew, and turns refer to it.
    for column in (
        sa.Column("due_at", Time),
        sa.Column("lease", sa.String(32)),
        sa.Column("lease_until", Time),
        sa.Column("owner", sa.String(10), nullable=False, server_default="bot"),
    ):
        op.add_column("conversations", column)
    _partial("conversations_due", "conversations", ["due_at"], "due_at IS NOT NULL")
    _partial("conversations_leased", "conversations", ["workspace_id", "lease_until"], "lease_until IS NOT NULL")
    with op.batch_alter_table("turns") as turns:
        turns.add_column(sa.Column("inbox_id", Id))
        turns.create_foreign_key("turns_inbox", "inbox", ["inbox_id"], ["inbox_id"])
        turns.create_unique_constraint("one_turn_per_message", ["inbox_id"])
    told = "reason IN ('too_many', 'nothing_to_read') AND decision <> 'silent'"
    _partial("turns_told_here", "turns", ["conversation_id", "answered_at"], told)
    _partial("turns_told_actor", "turns", ["actor_id", "answered_at"], told)
    _partial("turns_with_tokens", "turns", ["answered_at", "prompt_tokens", "completion_tokens"], "prompt_tokens > 0")
    op.create_table(
        "outbox",
        sa.Column("outbox_id", Id, primary_key=True, autoincrement=True),
        sa.Column("turn_id", sa.String(32), sa.ForeignKey("turns.turn_id")),
        sa.Column("text", sa.Text),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("conversation_id", sa.String(32), sa.ForeignKey("conversations.conversation_id"), nullable=False),
        sa.Column("platform", sa.String(20), nullable=False),
        sa.Column("key", sa.String(40), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", Time, nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("lease_until", Time),
        sa.Column("reference", sa.Text),
        sa.Column("last_error", sa.Text),
        sa.Column("sent_at", Time),
        sa.UniqueConstraint("turn_id", "part", name="one_row_per_part"),
        sa.UniqueConstraint("key", name="one_row_per_key"),
    )
    undelivered = "state IN ('pending', 'sending', 'uncertain')"
    _partial("outbox_due", "outbox", ["due_at"], undelivered)
    _partial("outbox_notices", "outbox", ["conversation_id"], "turn_id IS NULL")
    _partial("outbox_order", "outbox", ["conversation_id", "outbox_id"], undelivered)


def downgrade() -> None:
    op.drop_table("outbox")
    for index in ("turns_told_here", "turns_told_actor", "turns_with_tokens"):
        op.drop_index(index, "turns")
    with op.batch_alter_table("turns") as turns:
        turns.drop_constraint("one_turn_per_message", type_="unique")
        turns.drop_constraint("turns_inbox", type_="foreignkey")
        turns.drop_column("inbox_id")
    op.drop_index("conversations_leased", "conversations")
    op.drop_index("conversations_due", "conversations")
    for column in ("due_at", "lease", "lease_until", "owner"):
        op.drop_column("conversations", column)
    op.drop_table("inbox")
