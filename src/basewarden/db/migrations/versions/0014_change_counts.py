"""Writes say how many rows of each table they changed, and sessions are listed by their last write."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Earlier writes keep null: their tables and verbs are described as far as the write itself names them."""
    op.add_column("journal_writes", sa.Column("change_counts", sa.JSON(), nullable=True))
    op.create_index("ix_journal_sessions_last_seen", "journal_sessions", ["connection_id", "last_seen_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_journal_sessions_last_seen", "journal_sessions")
    op.drop_column("journal_writes", "change_counts")
