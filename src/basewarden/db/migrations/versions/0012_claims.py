"""Claims: what one process works on while it holds no database connection. And when a delivery is tried again."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("letters", sa.Column("claimed_until", _TIME, nullable=True))
    op.add_column("billing_event", sa.Column("retry_at", _TIME, nullable=True))
    op.create_table(
        "billing_checkout_claims",
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column("claim_id", sa.Uuid(), nullable=False),
        sa.Column("claimed_until", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_billing_checkout_claims_user_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("billing_checkout_claims")
    op.drop_column("billing_event", "retry_at")
    op.drop_column("letters", "claimed_until")
