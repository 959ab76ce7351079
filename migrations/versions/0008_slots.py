"""Moments that processes take one at a time, such as the next session of Discord's gateway."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "slots",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("slots")
