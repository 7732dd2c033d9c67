"""Intents: writes by a project's own API, of which there is no transaction id."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("journal_writes", "xid", existing_type=sa.BigInteger(), nullable=True)


def downgrade() -> None:
    """An id of 0 is none of any database's: the settler finds such writes unknown."""
    op.execute("UPDATE journal_writes SET xid = 0 WHERE xid IS NULL")
    op.alter_column("journal_writes", "xid", existing_type=sa.BigInteger(), nullable=False)
