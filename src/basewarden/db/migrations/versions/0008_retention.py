"""Retention: finding what has expired, and what undid a session, without reading all sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_journal_sessions_undo_of", "journal_sessions", ["undo_of"], postgresql_where=sa.text("undo_of IS NOT NULL")
    )
    op.create_index(
        "ix_journal_sessions_expired", "journal_sessions", ["id"], postgresql_where=sa.text("status = 'expired'")
    )


def downgrade() -> None:
    op.drop_index("ix_journal_sessions_expired", "journal_sessions")
    op.drop_index("ix_journal_sessions_undo_of", "journal_sessions")
