"""Decides what a person's plan allows, sells a larger one, and prepares the billing page."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from basewarden.accounts import Attempt, Attempts, Limit, Person, lock_user
from basewarden.billing import queries
from basewarden.billing.checkouts import Checkouts, has_subscription
from basewarden.billing.errors import NO_BILLING, NoCustomer, PlanLimit
from basewarden.billing.models import BillingPayment
from basewarden.billing.plans import UNLIMITED, Entitlement, decide
from basewarden.billing.provider import BillingProvider
from basewarden.billing.webhooks import read_keys
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import NotConfigured
from basewarden.settings import Settings

CALLS = Limit(10, 10 * 60)
BACK = "/settings/billing"
_SHOWN_PAYMENTS = 50

CountUsed = Callable[[], Awaitable[int]]


class Plans:
    """Checks the limits of plans. A deployment without billing has none."""

    def __init__(self, settings: Settings) -> None:
        self._is_on = bool(settings.dodo_api_key) or bool(read_keys(settings.dodo_webhook_secret))

    @property
    def has_limits(self) -> bool:
        return self._is_on

    async def find_entitlement(self, session: ReadSession | WriteSession, person_id: UUID) -> Entitlement:
        if not self._is_on:
            return UNLIMITED
        subscriptions = await queries.list_subscriptions(session, person_id)
        return decide(subscriptions, await queries.list_grants(session, person_id), datetime.now(UTC))

    async def check_room(self, session: ReadSession | WriteSession, person_id: UUID, count_used: CountUsed) -> None:
        """Raises PlanLimit if the plan has no room for another connection."""
        if not self._is_on:
            return
        entitlement = await self.find_entitlement(session, person_id)
        if not entitlement.has_room(await count_used()):
            raise _make_limit(entitlement)

    async def take_room(self, session: WriteSession, person_id: UUID, count_used: CountUsed) -> None:
        """Checks the limit under a lock, which is held until the unit of work has inserted the connection."""
        if self._is_on:
            await lock_user(session, person_id)
            await self.check_room(session, person_id, count_used)

    async def take_member_room(self, session: WriteSession, owner_id: UUID, count_used: CountUsed) -> None:
        """Raises PlanLimit if the owner's plan has no room for another member. Locks like `take_room`."""
        if not self._is_on:
            return
        await lock_user(session, owner_id)
        entitlement = await self.find_entitlement(session, owner_id)
        if not entitlement.has_member_room(await count_used()):
            raise _make_member_limit(entitlement)


@dataclass(frozen=True, slots=True)
class Overview:
    """For the page. `is_configured`: this deployment has plans; `can_buy`: it can sell one."""

    is_configured: bool
    can_buy: bool
    entitlement: Entitlement
    has_customer: bool
    has_subscription: bool
    payments: Sequence[BillingPayment]


class Billing:
    """Holds no database connection while it waits for the provider."""

    def __init__(
        self, *, database: Database, provider: BillingProvider, plans: Plans, attempts: Attempts, settings: Settings
    ) -> None:
        self._database = database
        self._provider = provider
        self._plans = plans
        self._attempts = attempts
        self._product_id = settings.dodo_product_id
        self._back = settings.origin + BACK
        self._checkouts = Checkouts(
            database=database,
            provider=provider,
            mode=settings.dodo_mode,
            return_url=f"{self._back}?done=checkout",
        )

    async def describe(self, session: ReadSession, person: Person) -> Overview:
        entitlement = await self._plans.find_entitlement(session, person.id)
        return Overview(
            is_configured=self._plans.has_limits,
            can_buy=self._provider.is_configured and bool(self._product_id),
            entitlement=entitlement,
            has_customer=await queries.find_customer_id(session, person.id) is not None,
            has_subscription=await has_subscription(session, person.id),
            payments=await queries.list_payments(session, person.id, limit=_SHOWN_PAYMENTS),
        )

    async def start_checkout(self, person: Person) -> str:
        """Returns the address where the person pays. Concurrent requests get the same checkout."""
        if not self._provider.is_configured or not self._product_id:
            raise NotConfigured(NO_BILLING)
        await self._attempts.acquire(Attempt("billing.checkout", str(person.id), CALLS))
        return await self._checkouts.start(person, self._product_id)

    async def open_portal(self, person: Person) -> str:
        """Returns an address that signs its bearer in: it is created for each request and stored nowhere."""
        if not self._provider.is_configured:
            raise NotConfigured(NO_BILLING)
        async with self._database.read_only() as session:
            customer_id = await queries.find_customer_id(session, person.id)
        if customer_id is None:
            raise NoCustomer
        await self._attempts.acquire(Attempt("billing.portal", str(person.id), CALLS))
        return await self._provider.create_portal(customer_id, self._back)


def _make_limit(entitlement: Entitlement) -> PlanLimit:
    plan = entitlement.plan
    return PlanLimit(
        f"The plan {plan.title} allows {plan.connections} connections, and you have reached that limit.",
        details={"limit": plan.connections, "plan": plan.key},
        hint="Choose a larger plan under Settings, Billing, or delete a connection. Your connections keep working.",
    )


def _make_member_limit(entitlement: Entitlement) -> PlanLimit:
    plan = entitlement.plan
    limit = f"{plan.members} members, with open invitations" if plan.invitations else "one member, its owner"
    return PlanLimit(
        f"The plan {plan.title} allows a connection {limit}.",
        details={"limit": plan.members, "plan": plan.key},
        hint="Choose a larger plan under Settings, Billing. Members that a connection has keep their access.",
    )
