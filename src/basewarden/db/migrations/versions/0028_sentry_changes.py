"""What the sentry changes in a project's database: fixes and quarantines, each with what takes it back.

A change is stored before the project's database commits it, so that none is applied without its inverse.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_NOW = sa.func.now()


def upgrade() -> None:
    op.add_column("sentry_finding_events", sa.Column("sql", sa.Text(), nullable=True))
    op.create_table(
        "sentry_changes",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "status", "target", "sql", "inverse")),
        sa.Column("before", JSONB(), nullable=False),
        sa.Column("after", JSONB(), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.Uuid(), nullable=True),
        sa.Column("undone_by_name", sa.Text(), nullable=True),
        _follow("connections", "connection_id"),
        _follow("sentry_findings", "finding_id"),
    )
    op.create_index("ix_sentry_changes_list", "sentry_changes", ["connection_id", "kind", "id"])
    op.create_index("ix_sentry_changes_finding", "sentry_changes", ["finding_id", "id"])
    running = sa.text("status IN ('applying', 'undoing')")
    op.create_index(
        "ix_sentry_changes_running", "sentry_changes", ["connection_id"], unique=True, postgresql_where=running
    )
    standing = sa.text("kind = 'quarantine' AND status IN ('applying', 'applied', 'undoing')")
    columns = ["connection_id", "target"]
    op.create_index("ix_sentry_changes_quarantined", "sentry_changes", columns, unique=True, postgresql_where=standing)
    for name, column in (("actor", "actor_id"), ("undone_by", "undone_by")):
        known = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_sentry_changes_{name}", "sentry_changes", [column], postgresql_where=known)


def _follow(parent: str, column: str) -> sa.ForeignKeyConstraint:
    name = f"fk_sentry_changes_{column}"
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    op.drop_table("sentry_changes")
    op.drop_column("sentry_finding_events", "sql")
