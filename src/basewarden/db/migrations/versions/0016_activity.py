"""What a connection's home, its settings and the list of connections show: indexes for counts, and four facts.

The indexes are built while writes go on, outside a transaction. One whose building was interrupted is built again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_INDEXES = (
    ("ix_journal_sessions_frozen", "journal_sessions", ["connection_id"], "frozen_at IS NOT NULL"),
    ("ix_journal_sessions_undos", "journal_sessions", ["connection_id"], "kind = 'undo'"),
    ("ix_journal_writes_connection", "journal_writes", ["connection_id", "id"], None),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")  # building waits for running transactions, and blocks none
        for name, table, columns, where in _INDEXES:
            op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
            condition = sa.text(where) if where else None
            op.create_index(name, table, columns, postgresql_where=condition, postgresql_concurrently=True)
        op.execute("SET lock_timeout = '4s'")
    op.add_column("connection_members", sa.Column("steps_dismissed_at", _TIME, nullable=True))
    op.add_column("connections", sa.Column("failing_since", _TIME, nullable=True))
    op.add_column("connections", sa.Column("failing_reason", sa.Text(), nullable=True))
    op.add_column("connections", sa.Column("changed_at", JSONB(), server_default="{}", nullable=False))


def downgrade() -> None:
    for name, table, _, _ in reversed(_INDEXES):
        op.drop_index(name, table)
    op.drop_column("connection_members", "steps_dismissed_at")
    for name in ("failing_since", "failing_reason", "changed_at"):
        op.drop_column("connections", name)
