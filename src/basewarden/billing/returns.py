"""The page after a checkout: it asks the provider, because events may arrive late."""

from enum import StrEnum
from uuid import UUID

import structlog

from basewarden.accounts import Attempt, Attempts, Limit, Person
from basewarden.billing import queries
from basewarden.billing.bodies import SubscriptionBody
from basewarden.billing.checkouts import has_subscription
from basewarden.billing.errors import NotApplied, ProviderFailed
from basewarden.billing.events import Deliveries
from basewarden.billing.plans import RUNNING, Subscribed
from basewarden.billing.provider import BillingProvider, Purchase
from basewarden.db import Database

ASKED = Limit(20, 10 * 60)
"""Each visit makes up to three calls; beyond this limit the page waits for the provider's events."""
_NOT_PAID = frozenset({"failed", "cancelled"})
_log = structlog.get_logger()


class CheckoutResult(StrEnum):
    ACTIVE = "active"
    UNPAID = "unpaid"
    PROCESSING = "processing"
    FAILED = "failed"


class Returns:
    """Holds no database connection while it waits for the provider."""

    def __init__(
        self, *, database: Database, provider: BillingProvider, deliveries: Deliveries, attempts: Attempts
    ) -> None:
        self._database = database
        self._provider = provider
        self._deliveries = deliveries
        self._attempts = attempts

    async def check(self, person: Person) -> CheckoutResult:
        """Returns the stored state. Without one, asks the provider about the newest checkout, and stores its result."""
        async with self._database.read_only() as session:
            is_there = await has_subscription(session, person.id)
            session_id = await queries.find_newest_checkout_id(session, person.id)
        if is_there:
            return CheckoutResult.ACTIVE
        if session_id is None or not self._provider.is_configured:
            return CheckoutResult.PROCESSING
        if not await self._attempts.try_acquire(Attempt("billing.return", str(person.id), ASKED)):
            return CheckoutResult.PROCESSING
        try:
            return await self._take(person.id, await self._provider.find_purchase(session_id))
        except (ProviderFailed, NotApplied):
            return CheckoutResult.PROCESSING

    async def _take(self, person_id: UUID, purchase: Purchase) -> CheckoutResult:
        subscription = purchase.subscription
        if subscription is None and purchase.payment_status is None:
            return CheckoutResult.UNPAID
        if subscription is None:
            return CheckoutResult.FAILED if purchase.payment_status in _NOT_PAID else CheckoutResult.PROCESSING
        if subscription.user_id != person_id:
            _log.error("billing.foreign_purchase", subscription=subscription.subscription_id)
            return CheckoutResult.PROCESSING
        await self._deliveries.take_fetched(subscription)
        return _read_result(subscription)


def _read_result(subscription: SubscriptionBody) -> CheckoutResult:
    if subscription.status in RUNNING:
        return CheckoutResult.ACTIVE
    return CheckoutResult.PROCESSING if subscription.status == Subscribed.PENDING else CheckoutResult.FAILED
