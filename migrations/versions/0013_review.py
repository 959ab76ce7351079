"""What staff look through: the queue of reviews, the search over turns, the figures of days."""

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
