"""A connection may be a project of which only the URL and a key are known."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("connections", "sealed_postgres_url", nullable=True)
    op.alter_column("connections", "facts", nullable=True)
    op.add_column("connections", sa.Column("url", sa.Text(), nullable=True))
    op.add_column("connections", sa.Column("sealed_key", sa.LargeBinary(), nullable=True))
    op.add_column("connections", sa.Column("rest_facts", postgresql.JSONB(), nullable=True))
    op.create_check_constraint("reachable", "connections", "sealed_postgres_url IS NOT NULL OR sealed_key IS NOT NULL")
    op.create_check_constraint("postgres_whole", "connections", "(sealed_postgres_url IS NULL) = (facts IS NULL)")
    op.create_check_constraint(
        "project_whole",
        "connections",
        "(url IS NULL) = (sealed_key IS NULL) AND (url IS NULL) = (rest_facts IS NULL)",
    )


def downgrade() -> None:
    """What has no Postgres address cannot stay."""
    op.execute("DELETE FROM connections WHERE sealed_postgres_url IS NULL")
    for name in ("project_whole", "postgres_whole", "reachable"):
        op.drop_constraint(op.f(f"ck_connections_{name}"), "connections")
    for name in ("rest_facts", "sealed_key", "url"):
        op.drop_column("connections", name)
    op.alter_column("connections", "facts", nullable=False)
    op.alter_column("connections", "sealed_postgres_url", nullable=False)
