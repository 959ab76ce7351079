"""How far each channel has been heard, on platforms that do not send again what was missed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "positions",
        sa.Column("platform", sa.String(20), primary_key=True),
        sa.Column("channel_id", sa.String(100), primary_key=True),
        sa.Column("workspace_id", sa.String(100), nullable=False),
        sa.Column("message_id", sa.BigInteger, nullable=False),
    )
    op.create_index("positions_by_message", "positions", ["platform", "message_id"])


def downgrade() -> None:
    op.drop_table("positions")
