"""Knowledge, its releases, and the conversation log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

Json = sa.JSON().with_variant(JSONB(), "postgresql")
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "passages",
        sa.Column("knowledge", sa.String(100), primary_key=True),
        sa.Column("passage_id", sa.String(200), primary_key=True),
        sa.Column("document_id", sa.String(200), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("alternatives", Json, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("category", sa.Text),
        sa.Column("locale", sa.String(35)),
        sa.Column("tags", Json, nullable=False),
        sa.Column("curated", sa.Boolean, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("import_id", sa.String(32), nullable=False),
        sa.Column("updated_at", Time, nullable=False),
    )
    op.create_index("passages_by_source", "passages", ["knowledge", "source"])
    op.create_table(
        "releases",
        sa.Column("knowledge", sa.String(100), primary_key=True),
        sa.Column("version", sa.String(100), primary_key=True),
        sa.Column("passages", sa.Integer, nullable=False),
        sa.Column("embedder", sa.Text, nullable=False),
        sa.Column("published_at", Time, nullable=False),
    )
    op.create_table(
        "activations",
        sa.Column("activation_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("knowledge", sa.String(100), nullable=False),
        sa.Column("version", sa.String(100), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("activated_at", Time, nullable=False),
    )
    op.create_index("activations_by_knowledge", "activations", ["knowledge", "activation_id"])
    op.create_table(
        "conversations",
        sa.Column("conversation_id", sa.String(32), primary_key=True),
        sa.Column("platform", sa.String(20), nullable=False),
        sa.Column("workspace_id", sa.String(100), nullable=False),
        sa.Column("channel_id", sa.String(100), nullable=False),
        sa.Column("thread_id", sa.String(100), nullable=False),
        sa.Column("started_at", Time, nullable=False),
        sa.UniqueConstraint("platform", "workspace_id", "channel_id", "thread_id", name="one_conversation_per_address"),
    )
    op.create_table(
        "turns",
        sa.Column("turn_id", sa.String(32), primary_key=True),
        sa.Column("conversation_id", sa.String(32), sa.ForeignKey("conversations.conversation_id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("question_sha256", sa.String(64), nullable=False),
        sa.Column("asked_at", Time, nullable=False),
        sa.Column("answered_at", Time, nullable=False),
        sa.Column("decision", sa.String(20), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("citations", Json, nullable=False),
        sa.Column("hits", Json, nullable=False),
        sa.Column("lineage", Json, nullable=False),
        sa.Column("timings_ms", Json, nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.UniqueConstraint("conversation_id", "position", name="one_turn_per_position"),
    )


def downgrade() -> None:
    for table in ("turns", "conversations", "activations", "releases", "passages"):
        op.drop_table(table)
