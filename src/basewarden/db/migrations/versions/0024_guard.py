"""The guard against exfiltration: what agents have read is kept, and owners mark columns and tables.

It is on for every connection. What agents read before this is not known, so the guard begins with the next read.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connections", sa.Column("guard", sa.Text(), server_default="block", nullable=False))
    for name in ("guard_columns", "guard_tables"):
        op.add_column("connections", sa.Column(name, JSONB(), server_default="{}", nullable=False))
    op.add_column("journal_refusals", sa.Column("after_reading", ARRAY(sa.Text()), nullable=True))
    op.create_table(
        "agent_reads",
        sa.Column("agent_id", sa.Uuid(), primary_key=True),
        sa.Column("table_name", sa.Text(), primary_key=True),
        sa.Column("column_name", sa.Text(), primary_key=True),
        sa.Column("read_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_agent_reads_agent_id", ondelete="CASCADE"),
    )


def downgrade() -> None:
    """No write is refused for what an agent has read."""
    op.drop_table("agent_reads")
    op.drop_column("journal_refusals", "after_reading")
    for name in ("guard_tables", "guard_columns", "guard"):
        op.drop_column("connections", name)
