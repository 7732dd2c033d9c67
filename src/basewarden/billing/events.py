"""Stores deliveries in a transaction of their own, then applies each in one that also marks it as applied.

A crash between the two neither loses nor repeats a delivery. If applying fails, the receipt is kept, the effect is
rolled back, and the provider is answered with an error and sends it again. Concurrent copies wait for the receipt's row
lock; the second finds it applied.

If another body arrives with a known id, the applied body is final. If none was applied, the one that was sent last
counts, because a body holds the state at the time it was sent.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError

from basewarden.billing import queries
from basewarden.billing.bodies import (
    DisputeBody,
    EventTopic,
    PaymentBody,
    ProviderEvent,
    RefundBody,
    SubscriptionBody,
    Version,
    read_event,
)
from basewarden.billing.emails import BillingEmailKind, BillingEmails, format_amount, format_day
from basewarden.billing.errors import NotApplied
from basewarden.billing.models import BillingCustomer, BillingPayment, BillingSubscription
from basewarden.billing.plans import RUNNING, Subscribed
from basewarden.billing.webhooks import Delivery
from basewarden.db import Database, WriteSession
from basewarden.errors import NotFound

LOCK_SECONDS = 10  # the provider waits fifteen for an answer
_LONGEST_ERROR = 500
_log = structlog.get_logger()


class EventOutcome(StrEnum):
    APPLIED = "applied"
    ALREADY_APPLIED = "already_applied"


class Deliveries:
    def __init__(self, database: Database, emails: BillingEmails) -> None:
        self._database = database
        self._emails = emails

    async def receive(self, delivery: Delivery) -> EventOutcome:
        """Raises BadDelivery for an invalid body, and NotApplied if applying failed.

        The provider then sends the delivery again.
        """
        event = read_event(delivery)
        try:
            async with self._database.write_now() as session:
                await queries.set_lock_timeout(session, LOCK_SECONDS)
                await queries.keep_receipt(session, delivery, event)
        except DBAPIError as error:
            raise NotApplied from error
        return await self.apply(delivery.id)

    async def apply(self, webhook_id: str) -> EventOutcome:
        """Returns the delivery that was stored under this id, unless it was applied."""
        try:
            async with self._noting_failure(webhook_id), self._database.unit_of_work() as unit:
                return await self._apply(unit, webhook_id)
        except DBAPIError as error:
            raise NotApplied from error

    async def take_fetched(self, body: SubscriptionBody) -> None:
        """Stores a state that was requested from the provider, until the first event of the subscription arrives.

        It counts as of the subscription's creation, so that any event is newer: the order never depends on two
        clocks.
        """
        sent_at = datetime.now(UTC)
        digest = sha256(body.model_dump_json().encode()).digest()
        event = ProviderEvent("subscription.fetched", Version(body.created_at, sent_at, digest), body)
        try:
            async with self._database.write_now() as unit:
                await queries.set_lock_timeout(unit, LOCK_SECONDS)
                await self._put_subscription(unit, event, body)
        except DBAPIError as error:
            raise NotApplied from error

    async def _apply(self, unit: WriteSession, webhook_id: str) -> EventOutcome:
        await queries.set_lock_timeout(unit, LOCK_SECONDS)
        receipt = await queries.lock_receipt(unit, webhook_id)
        if receipt is None:
            raise NotFound
        if receipt.applied_at is not None:
            return EventOutcome.ALREADY_APPLIED
        event = read_event(Delivery(receipt.webhook_id, receipt.sent_at, receipt.payload))
        await self._take_effect(unit, event)
        await queries.mark_applied(unit, receipt.id)
        return EventOutcome.APPLIED

    @asynccontextmanager
    async def _noting_failure(self, webhook_id: str) -> AsyncIterator[None]:
        try:
            yield
        except Exception as error:
            _log.warning("billing.not_applied", webhook_id=webhook_id, reason=type(error).__name__)
            async with self._database.write_now() as session:
                await queries.note_failure(session, webhook_id, describe_error(error))
            raise

    async def _take_effect(self, unit: WriteSession, event: ProviderEvent) -> None:
        match event.body:
            case SubscriptionBody() as body:
                await self._put_subscription(unit, event, body)
            case PaymentBody() as body:
                await self._put_payment(unit, event, body)
            case RefundBody() as body:
                await self._put_refund(unit, event, body)
            case DisputeBody() as body:
                await self._put_dispute(unit, event, body)
            case None:
                pass  # kept, and nothing else

    async def _put_subscription(self, unit: WriteSession, event: ProviderEvent, body: SubscriptionBody) -> None:
        named = await self._find_named(unit, event, body.user_id)
        values = {
            "subscription_id": body.subscription_id,
            "customer_id": body.customer.customer_id,
            "user_id": named,
            "product_id": body.product_id,
            "status": body.status,
            "started_at": body.created_at,
            "trial_days": body.trial_period_days,
            "next_billing_at": body.next_billing_date,
            "ends_at_period_end": body.cancel_at_next_billing_date,
            "past_due_until": body.past_due_ends_at,
            "cancelled_at": body.cancelled_at,
            "expires_at": body.expires_at,
            "amount": body.recurring_pre_tax_amount,
            "currency": body.currency,
        }
        if await queries.put_state(unit, BillingSubscription, values, event.version):
            await self._email_about_subscription(unit, body, named)

    async def _put_payment(self, unit: WriteSession, event: ProviderEvent, body: PaymentBody) -> None:
        named = await self._find_named(unit, event, body.user_id)
        values = {
            "id": body.payment_id,
            "kind": EventTopic.PAYMENT,
            "payment_id": body.payment_id,
            "subscription_id": body.subscription_id,
            "customer_id": body.customer.customer_id,
            "user_id": named,
            "status": body.status or "unknown",
            "amount": body.total_amount,
            "currency": body.currency,
            "made_at": body.created_at,
        }
        is_new = await queries.put_state(unit, BillingPayment, values, event.version)
        if is_new and body.status == "failed" and body.subscription_id is not None:
            await self._email_about_failure(unit, body.subscription_id, named)

    async def _put_refund(self, unit: WriteSession, event: ProviderEvent, body: RefundBody) -> None:
        named = await self._find_named(unit, event, body.user_id)
        values = {
            "id": body.refund_id,
            "kind": EventTopic.REFUND,
            "payment_id": body.payment_id,
            "customer_id": body.customer.customer_id,
            "user_id": named,
            "status": body.status,
            "amount": body.amount,
            "currency": body.currency,
            "made_at": body.created_at,
        }
        if await queries.put_state(unit, BillingPayment, values, event.version) and body.status == "succeeded":
            person = named or await queries.find_user_of_customer(unit, body.customer.customer_id)
            amount = format_amount(body.amount, body.currency)
            await self._emails.enqueue_once(unit, BillingEmailKind.REFUNDED, body.refund_id, person, amount=amount)

    async def _put_dispute(self, unit: WriteSession, event: ProviderEvent, body: DisputeBody) -> None:
        values = {
            "id": body.dispute_id,
            "kind": EventTopic.DISPUTE,
            "payment_id": body.payment_id,
            "status": body.dispute_status.removeprefix("dispute_"),
            "amount": body.amount,
            "currency": body.currency,
            "made_at": body.created_at,
        }
        await queries.put_state(unit, BillingPayment, values, event.version)

    async def _find_named(self, unit: WriteSession, event: ProviderEvent, user_id: UUID | None) -> UUID | None:
        """Returns the person that the metadata names, if there is one, and links the customer to that person."""
        if user_id is None or not await queries.hold_user(unit, user_id):
            return None
        values = {"customer_id": event.customer_id, "user_id": user_id}
        await queries.put_state(unit, BillingCustomer, values, event.version)
        return user_id

    async def _email_about_subscription(self, unit: WriteSession, body: SubscriptionBody, named: UUID | None) -> None:
        person = named or await queries.find_user_of_customer(unit, body.customer.customer_id)
        if body.status in (Subscribed.ON_HOLD, Subscribed.PAST_DUE):
            await self._post_failure(unit, body.subscription_id, format_day(body.next_billing_date), person)
        is_ending = body.status == Subscribed.ACTIVE and body.cancel_at_next_billing_date
        if body.status == Subscribed.CANCELLED or is_ending:
            about = f"{body.subscription_id} {format_day(body.cancelled_at or body.next_billing_date)}"
            until = format_day(body.next_billing_date)
            await self._emails.enqueue_once(unit, BillingEmailKind.CANCELLED, about, person, until=until)

    async def _email_about_failure(self, unit: WriteSession, subscription_id: str, named: UUID | None) -> None:
        """Sent for renewals only: at a checkout the person sees the result themselves."""
        subscription = await queries.find_subscription(unit, subscription_id)
        if subscription is None or subscription.status not in RUNNING:
            return
        person = named or await queries.find_user_of_customer(unit, subscription.customer_id)
        await self._post_failure(unit, subscription_id, format_day(subscription.next_billing_at), person)

    async def _post_failure(
        self, unit: WriteSession, subscription_id: str, due: str | None, person: UUID | None
    ) -> None:
        """A failed charge and a subscription on hold are reported in one email."""
        await self._emails.enqueue_once(
            unit, BillingEmailKind.PAYMENT_FAILED, f"{subscription_id} {due}", person, due=due
        )


def describe_error(error: Exception) -> str:
    """Describes the failure for the operator, without the values of parameters."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    first_line = (str(cause).splitlines() or [""])[0]
    return f"{type(cause).__name__}: {first_line}".replace("\0", "")[:_LONGEST_ERROR]
