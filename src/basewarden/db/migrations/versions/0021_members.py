"""Members: invitations to a connection, and connections whose members need two-factor authentication."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_TABLE = "connection_invitations"
_TIME = sa.DateTime(timezone=True)


def _refer(column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{_TABLE}_{column}", ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("connection_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_key", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("accepted_at", _TIME, nullable=True),
        sa.Column("accepted_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=f"pk_{_TABLE}"),
        sa.UniqueConstraint("token_hash", name=f"uq_{_TABLE}_token_hash"),
        _refer("connection_id", "connections"),
        _refer("invited_by", "users"),
        _refer("accepted_by", "users"),
    )
    op.add_column("connections", sa.Column("requires_two_factor", sa.Boolean(), server_default="false", nullable=False))
    waiting = sa.text("accepted_at IS NULL")
    op.create_index(
        f"ix_{_TABLE}_waiting", _TABLE, ["connection_id", "email_key"], unique=True, postgresql_where=waiting
    )
    for column in ("email_key", "invited_by", "expires_at", "accepted_by"):
        op.create_index(f"ix_{_TABLE}_{column}", _TABLE, [column])


def downgrade() -> None:
    op.drop_column("connections", "requires_two_factor")
    op.drop_table(_TABLE)
