"""Agents can be paused and frozen, all agents of a connection too; who did it and why is kept in the journal.

A refusal keeps the limit of rows that was in force, because an agent's limits can change from now on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("agents", sa.Column("paused_at", _TIME, nullable=True))
    op.add_column("agents", sa.Column("frozen_at", _TIME, nullable=True))
    op.add_column("connections", sa.Column("agents_frozen_at", _TIME, nullable=True))
    op.add_column("journal_refusals", sa.Column("row_limit", sa.Integer(), nullable=True))
    op.create_table(
        "journal_interventions",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("agent_name", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("user_name", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("xact", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_journal_interventions_connection_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_journal_interventions_connection", "journal_interventions", ["connection_id", "at", "id"])
    op.create_index("ix_journal_interventions_at", "journal_interventions", ["at"])
    for column in ("agent_id", "session_id", "user_id"):
        op.create_index(
            f"ix_journal_interventions_{column.removesuffix('_id')}",
            "journal_interventions",
            [column],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )


def downgrade() -> None:
    """What is paused or frozen works again, except for sessions."""
    op.drop_table("journal_interventions")
    op.drop_column("journal_refusals", "row_limit")
    op.drop_column("connections", "agents_frozen_at")
    for name in ("frozen_at", "paused_at"):
        op.drop_column("agents", name)
