"""What was decided about corrections, how they read before, and where questions without an answer are found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"

Time = sa.DateTime(timezone=True)
Json = sa.JSON().with_variant(JSONB(), "postgresql")
DECIDED = sa.text("decided_at IS NOT NULL")
UNANSWERED = sa.text("reason IN ('low_confidence', 'close_candidates')")


def upgrade() -> None:
    for column in _decision():  # each may be left out: what still runs the version before proposes as ever
        op.add_column("corrections", column)
    op.create_index("corrections_decided", "corrections", ["state", "decided_at"], sqlite_where=DECIDED, postgresql_where=DECIDED)
    _place_what_was_proposed()
    op.create_table(
        "correction_versions",
        sa.Column("correction_id", sa.String(32), sa.ForeignKey("corrections.correction_id"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("alternatives", Json, nullable=False),
        sa.Column("cause", sa.String(30), nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("replaced_at", Time, nullable=False),
    )
    op.create_index("turns_unanswered", "turns", ["asked_at"], sqlite_where=UNANSWERED, postgresql_where=UNANSWERED)


def _decision() -> list[sa.Column]:
    return [
        sa.Column("alternatives", Json, nullable=False, server_default=sa.text("'[]'")),
        sa.Column("platform", sa.String(20), nullable=False, server_default=""),
        sa.Column("workspace_id", sa.String(100), nullable=False, server_default=""),
        sa.Column("own_words", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
        sa.Column("revised_by", sa.Text),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", Time),
        sa.Column("decision_reason", sa.Text),
        sa.Column("passage_id", sa.String(200)),
    ]


def _place_what_was_proposed() -> None:
    """Say of which workspace corrections are: authors were kept as PLATFORM:WORKSPACE:ID. Nobody knows whose words their questions are."""
    connection = op.get_bind()
    columns = (sa.column(name) for name in ("correction_id", "author", "platform", "workspace_id", "own_words"))
    corrections = sa.table("corrections", *columns)
    for correction_id, author in connection.execute(sa.select(corrections.c.correction_id, corrections.c.author)).all():
        place = author.split(":", 2)
        if len(place) == 3:
            values = {"platform": place[0][:20], "workspace_id": place[1][:100], "own_words": True}
            connection.execute(sa.update(corrections).where(corrections.c.correction_id == correction_id).values(**values))


def downgrade() -> None:
    op.drop_index("turns_unanswered", "turns")
    op.drop_table("correction_versions")
    op.drop_index("corrections_decided", "corrections")
    for column in reversed(_decision()):
        op.drop_column("corrections", column.name)
