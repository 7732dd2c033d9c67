"""Proposals: writes of agents that wait for a person's approval, with the rows as they would be.

An owner may require that the approval is another person's than that of who created the agent.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column(
        "connections", sa.Column("approval_by_another", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_table(
        "proposals",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("agent_name", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("headers", JSONB(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("tables", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("change_counts", sa.JSON(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("uncaptured", JSONB(), nullable=False),
        sa.Column("reserve", sa.Integer(), nullable=False),
        sa.Column("is_computed", sa.Boolean(), nullable=False),
        sa.Column("made", JSONB(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_name", sa.Text(), nullable=True),
        sa.Column("decided_at", _TIME, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("claimed_at", _TIME, nullable=True),
        sa.Column("write_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("result_status", sa.Integer(), nullable=True),
        sa.Column("result_type", sa.Text(), nullable=True),
        sa.Column("result_body", sa.LargeBinary(), nullable=True),
        sa.Column("failure_code", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_proposals_connection_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_proposals_connection", "proposals", ["connection_id", "id"])
    op.create_index("ix_proposals_created_at", "proposals", ["created_at"])
    _create_partial_indexes()


def _create_partial_indexes() -> None:
    is_open = sa.text("status IN ('pending', 'executing')")
    is_pending = sa.text("status = 'pending'")
    op.create_index("ix_proposals_open", "proposals", ["expires_at"], postgresql_where=is_open)
    op.create_index("ix_proposals_pending", "proposals", ["connection_id", "agent_id"], postgresql_where=is_pending)
    for name, column in (("session", "session_id"), ("decided_by", "decided_by")):
        op.create_index(
            f"ix_proposals_{name}", "proposals", [column], postgresql_where=sa.text(f"{column} IS NOT NULL")
        )


def downgrade() -> None:
    """Agents that may only propose may only read from then on."""
    op.execute("UPDATE agents SET access = 'read' WHERE access = 'propose'")
    op.drop_table("proposals")
    op.drop_column("connections", "approval_by_another")
