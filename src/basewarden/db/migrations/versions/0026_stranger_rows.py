"""Owners may hold an agent's writes after it has read rows that strangers may have written; proposals say which.

Nothing is held before an owner wants it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connections", sa.Column("guard_strangers", sa.Text(), server_default="allow", nullable=False))
    op.add_column("connections", sa.Column("guard_writers", JSONB(), server_default="{}", nullable=False))
    op.add_column("proposals", sa.Column("after_reading", ARRAY(sa.Text()), server_default="{}", nullable=False))


def downgrade() -> None:
    """No write is held for what an agent has read. What would read as a column of no name is forgotten."""
    op.execute("DELETE FROM agent_reads WHERE column_name = ''")
    op.drop_column("proposals", "after_reading")
    for name in ("guard_writers", "guard_strangers"):
        op.drop_column("connections", name)
