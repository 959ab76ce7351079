"""Texts by age, so that old ones are found without reading the rest."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TURN_KEPT = "(text <> '' OR question <> '')"
MESSAGE_KEPT = "text <> ''"


def upgrade() -> None:
    for name, table, column, kept in (
        ("turns_kept", "turns", "asked_at", TURN_KEPT),
        ("inbox_kept", "inbox", "received_at", MESSAGE_KEPT),
    ):
        op.create_index(name, table, [column], sqlite_where=sa.text(kept), postgresql_where=sa.text(kept))


def downgrade() -> None:
    op.drop_index("inbox_kept", "inbox")
    op.drop_index("turns_kept", "turns")
