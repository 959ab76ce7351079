"""How far a run of the learning loop is, for who looks at it from elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("learning_runs", sa.Column("doing", sa.Text))


def downgrade() -> None:
    with op.batch_alter_table("learning_runs") as table:
        table.drop_column("doing")
