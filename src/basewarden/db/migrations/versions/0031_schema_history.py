"""The versions of a connection's schema, and what was last read of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "schema_heads",
        sa.Column("connection_id", sa.Uuid(), primary_key=True),
        sa.Column("number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("checks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("checked_at", _TIME, nullable=True),
        sa.Column("catalog", sa.Text(), nullable=True),
        sa.Column("next_xid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        _make_connection_key("schema_heads"),
    )
    op.create_table(
        "schema_versions",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        *(
            sa.Column(name, sa.Integer(), server_default="0", nullable=False)
            for name in ("added", "changed", "removed")
        ),
        sa.Column("summary", JSONB(), server_default="[]", nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("finding_id", sa.Uuid(), nullable=True),
        _make_connection_key("schema_versions"),
        sa.UniqueConstraint("connection_id", "number", name="uq_schema_versions_number"),
    )
    op.create_index("ix_schema_versions_at", "schema_versions", ["at"])
    op.create_index(
        "ix_schema_versions_user", "schema_versions", ["user_id"], postgresql_where=sa.text("user_id IS NOT NULL")
    )


def _make_connection_key(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_connection_id"
    return sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    op.drop_table("schema_versions")
    op.drop_table("schema_heads")
