"""Billing: receipts of deliveries, the provider's newest states, checkouts, grants."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, _TIME, server_default=sa.func.now(), nullable=False)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, _TIME, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _version() -> list[sa.Column[object]]:
    return [_time("state_at"), _time("state_sent_at"), sa.Column("state_digest", sa.LargeBinary(), nullable=False)]


def _of_user(table: str, *, goes: str) -> list[sa.schema.SchemaItem]:
    """`goes`: what becomes of the row when the person leaves."""
    return [
        sa.Column("user_id", sa.Uuid(), nullable=goes == "SET NULL"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"fk_{table}_user_id", ondelete=goes),
    ]


def upgrade() -> None:
    _make_receipts()
    _make_states()
    _make_own()


def _make_receipts() -> None:
    op.create_table(
        "billing_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        _text("webhook_id"),
        _text("type"),
        _text("customer_id", nullable=True),
        _time("event_at"),
        _time("sent_at"),
        _now("received_at"),
        _time("applied_at", nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _text("error", nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_billing_event"),
        sa.UniqueConstraint("webhook_id", name="uq_billing_event_webhook_id"),
    )
    op.create_index(
        "ix_billing_event_not_applied", "billing_event", ["id"], postgresql_where=sa.text("applied_at IS NULL")
    )
    for name in ("customer_id", "received_at"):
        op.create_index(f"ix_billing_event_{name}", "billing_event", [name])


def _make_states() -> None:
    op.create_table(
        "billing_customers",
        _text("customer_id"),
        *_of_user("billing_customers", goes="SET NULL"),
        _now("created_at"),
        *_version(),
        sa.PrimaryKeyConstraint("customer_id", name="pk_billing_customers"),
    )
    op.create_table(
        "billing_subscriptions",
        _text("subscription_id"),
        _text("customer_id"),
        *_of_user("billing_subscriptions", goes="SET NULL"),
        _text("product_id"),
        _text("status"),
        _time("started_at"),
        sa.Column("trial_days", sa.Integer(), nullable=False),
        _time("next_billing_at", nullable=True),
        sa.Column("ends_at_period_end", sa.Boolean(), nullable=False),
        _time("past_due_until", nullable=True),
        _time("cancelled_at", nullable=True),
        _time("expires_at", nullable=True),
        sa.Column("amount", sa.BigInteger()),
        _text("currency", nullable=True),
        *_version(),
        sa.PrimaryKeyConstraint("subscription_id", name="pk_billing_subscriptions"),
    )
    op.create_table(
        "billing_payments",
        _text("id"),
        _text("kind"),
        _text("payment_id"),
        _text("subscription_id", nullable=True),
        _text("customer_id", nullable=True),
        *_of_user("billing_payments", goes="SET NULL"),
        _text("status"),
        sa.Column("amount", sa.BigInteger()),
        _text("currency", nullable=True),
        _time("made_at"),
        *_version(),
        sa.PrimaryKeyConstraint("id", name="pk_billing_payments"),
    )
    for table, names in (
        ("billing_customers", ("user_id",)),
        ("billing_subscriptions", ("customer_id", "user_id")),
        ("billing_payments", ("payment_id", "customer_id", "user_id")),
    ):
        for name in names:
            op.create_index(f"ix_{table}_{name}", table, [name])


def _make_own() -> None:
    op.create_table(
        "billing_checkouts",
        _text("session_id"),
        *_of_user("billing_checkouts", goes="CASCADE"),
        _text("product_id"),
        _text("mode"),
        _text("url"),
        _now("created_at"),
        sa.PrimaryKeyConstraint("session_id", name="pk_billing_checkouts"),
    )
    op.create_table(
        "billing_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        *_of_user("billing_grants", goes="CASCADE"),
        _text("plan"),
        _time("until"),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        _time("ended_at", nullable=True),
        _now("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_billing_grants"),
    )
    op.create_table(
        "billing_notices",
        _text("kind"),
        _text("about"),
        _now("posted_at"),
        sa.PrimaryKeyConstraint("kind", "about", name="pk_billing_notices"),
    )
    for table in ("billing_checkouts", "billing_grants"):
        op.create_index(f"ix_{table}_user_id", table, ["user_id"])


def downgrade() -> None:
    for table in (
        "billing_notices",
        "billing_grants",
        "billing_checkouts",
        "billing_payments",
        "billing_subscriptions",
        "billing_customers",
        "billing_event",
    ):
        op.drop_table(table)
