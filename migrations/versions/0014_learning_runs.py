"""Runs of the learning loop: one goes on at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

Time = sa.DateTime(timezone=True)
GOES_ON = sa.text("state = 'running'")


def upgrade() -> None:
    op.create_table(
        "learning_runs",
        sa.Column("run_id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("started_at", Time, nullable=False),
        sa.Column("seen_at", Time, nullable=False),
        sa.Column("ended_at", Time),
        sa.Column("model_id", sa.String(200), nullable=False),
        sa.Column("against", sa.String(200), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("report", sa.Text),
    )
    op.create_index("learning_runs_by_time", "learning_runs", ["started_at"])
    op.create_index("one_run_goes_on", "learning_runs", ["state"], unique=True, sqlite_where=GOES_ON, postgresql_where=GOES_ON)


def downgrade() -> None:
    op.drop_table("learning_runs")
