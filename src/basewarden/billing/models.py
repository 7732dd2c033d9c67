"""Billing's tables: the payment provider's states, our checkouts, and grants of the operator.

A row for a customer, subscription or payment holds the newest state that we received. `state_at`, `state_sent_at` and
`state_digest` are that state's version: an older one never replaces it.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from basewarden.db import Base

_OF_USER = "users.id"


class BillingEvent(Base):
    """A delivery with a valid signature, stored before it is applied.

    `payload` is the body as received, byte for byte. `event_at` is when the event happened, `sent_at` when it was
    sent to us, `retry_at` when a job will retry to apply it.
    """

    __tablename__ = "billing_event"
    __table_args__ = (
        Index("ix_billing_event_not_applied", "id", postgresql_where=text("applied_at IS NULL")),
        Index("ix_billing_event_received_at", "received_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    webhook_id: Mapped[str] = mapped_column(Text, unique=True)
    type: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[str | None] = mapped_column(Text, index=True)
    event_at: Mapped[datetime]
    sent_at: Mapped[datetime]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    applied_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    retry_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)


class Versioned:
    state_at: Mapped[datetime]
    state_sent_at: Mapped[datetime]
    state_digest: Mapped[bytes] = mapped_column(LargeBinary)


class BillingCustomer(Versioned, Base):
    """The person that a customer of the provider belongs to."""

    __tablename__ = "billing_customers"

    customer_id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey(_OF_USER, ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BillingSubscription(Versioned, Base):
    """`user_id` is the person that its metadata names, if there is one. `status` is an open set."""

    __tablename__ = "billing_subscriptions"

    subscription_id: Mapped[str] = mapped_column(Text, primary_key=True)
    customer_id: Mapped[str] = mapped_column(Text, index=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey(_OF_USER, ondelete="SET NULL"), index=True)
    product_id: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    trial_days: Mapped[int]
    next_billing_at: Mapped[datetime | None]
    ends_at_period_end: Mapped[bool]
    past_due_until: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(Text)


class BillingPayment(Versioned, Base):
    """A payment, or a refund or dispute of the payment `payment_id`. `amount` is in cents."""

    __tablename__ = "billing_payments"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    payment_id: Mapped[str] = mapped_column(Text, index=True)
    subscription_id: Mapped[str | None] = mapped_column(Text)
    customer_id: Mapped[str | None] = mapped_column(Text, index=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey(_OF_USER, ondelete="SET NULL"), index=True)
    status: Mapped[str] = mapped_column(Text)
    amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str | None] = mapped_column(Text)
    made_at: Mapped[datetime]


class BillingCheckout(Base):
    """A checkout that was started; for some minutes, repeated requests return the same one."""

    __tablename__ = "billing_checkouts"

    session_id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"), index=True)
    product_id: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BillingCheckoutClaim(Base):
    """The claim of the request that is creating a person's checkout, with its expiry."""

    __tablename__ = "billing_checkout_claims"

    user_id: Mapped[UUID] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"), primary_key=True)
    claim_id: Mapped[UUID]
    claimed_until: Mapped[datetime]


class BillingGrant(Base):
    """A plan that the operator granted, with an end."""

    __tablename__ = "billing_grants"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(_OF_USER, ondelete="CASCADE"), index=True)
    plan: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime]
    note: Mapped[str] = mapped_column(Text, server_default="")
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class BillingNotice(Base):
    """Records that an email was sent, so that each is sent once. `about` is an id of the provider's."""

    __tablename__ = "billing_notices"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    about: Mapped[str] = mapped_column(Text, primary_key=True)
    posted_at: Mapped[datetime] = mapped_column(server_default=func.now())
