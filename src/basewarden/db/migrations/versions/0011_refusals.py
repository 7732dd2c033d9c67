"""Frozen sessions, and the requests of agents that policy refused."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("journal_sessions", sa.Column("frozen_at", _TIME, nullable=True))
    op.add_column("journal_sessions", sa.Column("frozen_reason", sa.Text(), nullable=True))
    op.add_column("journal_sessions", sa.Column("budget_from", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "journal_refusals",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("first_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("hour", _TIME, nullable=False),
        sa.Column("kind_key", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), server_default="1", nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_journal_refusals_connection_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("agent_id", "hour", "kind_key", name="uq_journal_refusals_kind"),
    )
    op.create_index("ix_journal_refusals_connection", "journal_refusals", ["connection_id", "at", "id"])
    op.create_index("ix_journal_refusals_at", "journal_refusals", ["at"])
    op.create_index(
        "ix_journal_refusals_session",
        "journal_refusals",
        ["session_id"],
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )


def downgrade() -> None:
    """A frozen session takes writes again, up to its limit."""
    op.drop_table("journal_refusals")
    for name in ("budget_from", "frozen_reason", "frozen_at"):
        op.drop_column("journal_sessions", name)
