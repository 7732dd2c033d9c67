"""What an agent may do with each table, which columns it does not see, and its limits by session, hour and minute.

`tables` keeps those that have the agent's own access, so that code of the version before allows less there and never
more; rows from before keep their `rpc/…` names in it, and are read as before. That code does not know of columns and of
the new limits: create agents with such rules when every process is upgraded. The counters of a session begin at zero.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_LISTS = ("read_tables", "functions")
_LIMITS = ("max_rows_per_session", "max_rows_per_hour", "max_read_rows_per_hour", "requests_per_minute")
_COUNTERS = ("row_count", "rows_from")


def upgrade() -> None:
    for name in _LISTS:
        op.add_column("agents", sa.Column(name, ARRAY(sa.Text()), nullable=True))
    op.add_column("agents", sa.Column("columns", JSONB(), nullable=True))
    for name in _LIMITS:
        op.add_column("agents", sa.Column(name, sa.Integer(), nullable=True))
    for name in _COUNTERS:
        op.add_column("journal_sessions", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "agent_use",
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows_written", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rows_read", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name="fk_agent_use_agent_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("agent_id", "minute", name="pk_agent_use"),
    )


def downgrade() -> None:
    op.drop_table("agent_use")
    for name in _COUNTERS:
        op.drop_column("journal_sessions", name)
    for name in (*_LIMITS, "columns", *_LISTS):
        op.drop_column("agents", name)
