"""Messages the bot only overhears, replies that staff see first, and alerts to staff."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Defaults on the server: a process of the version before goes on writing rows while this one starts.
    op.add_column("inbox", sa.Column("overheard", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("inbox", sa.Column("draft", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("conversations", sa.Column("handoff_at", sa.DateTime(timezone=True)))
    op.add_column("outbox", sa.Column("action", sa.String(10), nullable=False, server_default="reply"))


def downgrade() -> None:
    op.drop_column("outbox", "action")
    op.drop_column("conversations", "handoff_at")
    op.drop_column("inbox", "draft")
    op.drop_column("inbox", "overheard")
