"""Versions of models, the moves of their aliases, what hosts serve, and which version wrote each answer."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"

Time = sa.DateTime(timezone=True)
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(JSONB(), "postgresql")
WRITTEN = sa.text("model IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("model_id", sa.String(200), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("files", Json, nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("dataset_sha256", sa.String(64), nullable=False),
        sa.Column("scores", Json, nullable=False),
        sa.Column("licence", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", Time, nullable=False),
    )
    _create_moves()
    _create_shadows()
    op.create_table(
        "model_hosts",
        sa.Column("host_id", sa.String(200), primary_key=True),
        sa.Column("seen_at", Time, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
    # NULL and without a default: no row is rewritten, and what still runs the version before writes turns as ever. No old row has a
    # model, so the index is made of nothing.
    op.add_column("turns", sa.Column("model", sa.String(200)))
    op.create_index("turns_by_model", "turns", ["model", "answered_at"], sqlite_where=WRITTEN, postgresql_where=WRITTEN)


def _create_moves() -> None:
    op.create_table(
        "model_moves",
        sa.Column("assignment_id", Id, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("alias", sa.String(20), nullable=False),
        sa.Column("model_id", sa.String(200), nullable=False),
        sa.Column("step", sa.String(20), nullable=False),
        sa.Column("share", sa.Integer, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("assigned_at", Time, nullable=False),
    )
    op.create_index("model_moves_by_alias", "model_moves", ["kind", "alias", "assignment_id"])


def _create_shadows() -> None:
    op.create_table(
        "model_shadows",
        sa.Column("shadow_id", Id, primary_key=True, autoincrement=True),
        sa.Column("model_id", sa.String(200), nullable=False),
        sa.Column("written_at", Time, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("abstained", sa.Boolean, nullable=False),
        sa.Column("quoted", sa.Boolean, nullable=False),
    )
    op.create_index("model_shadows_by_model", "model_shadows", ["model_id", "written_at"])


def downgrade() -> None:
    op.drop_index("turns_by_model", "turns")
    op.drop_column("turns", "model")
    for table in ("model_hosts", "model_shadows", "model_moves", "models"):
        op.drop_table(table)
