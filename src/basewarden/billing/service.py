"""What a person may do under their plan, how they get a better one, and what their page says about it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import DBAPIError

from basewarden.accounts import Attempt, Attempts, Limit, Person, lock_user
from basewarden.billing import queries
from basewarden.billing.errors import NO_BILLING, AlreadySubscribed, NoCustomer, PlanLimit
from basewarden.billing.models import BillingCheckout, BillingPayment
from basewarden.billing.plans import RUNNING, UNLIMITED, Entitlement, decide
from basewarden.billing.provider import BillingProvider, make_customer
from basewarden.billing.webhooks import read_keys
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import NotConfigured, Unavailable
from basewarden.settings import Settings

REUSE = timedelta(minutes=10)
CALLS = Limit(10, 10 * 60)
AT_ONCE = 4
"""Calls of one process that wait for the provider, each with one of the pool's few connections: it holds a lock."""
BACK = "/settings/billing"
_PATIENCE_SECONDS = 15
_SHOWN_PAYMENTS = 50
_HAS_SUBSCRIPTION = "Change or end it in the customer portal."

CountUsed = Callable[[], Awaitable[int]]


class Plans:
    """The limits. A deployment without billing has none."""

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
        """PlanLimit where another connection would be one too many."""
        if not self._is_on:
            return
        entitlement = await self.find_entitlement(session, person_id)
        if not entitlement.has_room(await count_used()):
            raise _make_limit(entitlement)

    async def take_room(self, session: WriteSession, person_id: UUID, count_used: CountUsed) -> None:
        """The same, to be followed by the insert: until the unit ends nobody else takes this place."""
        if self._is_on:
            await lock_user(session, person_id)
            await self.check_room(session, person_id, count_used)


@dataclass(frozen=True, slots=True)
class Overview:
    """For the page. `is_configured`: there are plans here at all; `can_buy`: this deployment can sell one."""

    is_configured: bool
    can_buy: bool
    entitlement: Entitlement
    has_customer: bool
    has_subscription: bool
    payments: Sequence[BillingPayment]


class Billing:
    def __init__(self, *, provider: BillingProvider, plans: Plans, attempts: Attempts, settings: Settings) -> None:
        self._provider = provider
        self._plans = plans
        self._attempts = attempts
        self._product_id = settings.dodo_product_id
        self._mode = settings.dodo_mode
        self._back = settings.origin + BACK
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def describe(self, session: ReadSession, person: Person) -> Overview:
        entitlement = await self._plans.find_entitlement(session, person.id)
        return Overview(
            is_configured=self._plans.has_limits,
            can_buy=self._provider.is_configured and bool(self._product_id),
            entitlement=entitlement,
            has_customer=await queries.find_customer_id(session, person.id) is not None,
            has_subscription=await self._has_subscription(session, person.id),
            payments=await queries.list_payments(session, person.id, limit=_SHOWN_PAYMENTS),
        )

    async def start_checkout(self, session: WriteSession, person: Person) -> str:
        """Where the person pays. Pressed twice, in two tabs or two processes, it is the same checkout.

        The provider is asked while the person's lock is held: whoever comes second finds what the first one made.
        """
        if not self._provider.is_configured or not self._product_id:
            raise NotConfigured(NO_BILLING)
        await self._attempts.take(Attempt("billing.checkout", str(person.id), CALLS))
        async with self._turn():
            await self._wait_for_lock(session, person.id)
            if await self._has_subscription(session, person.id):
                raise AlreadySubscribed(hint=_HAS_SUBSCRIPTION)
            known = await queries.find_checkout(session, person.id, self._product_id, self._mode, REUSE)
            return known.url if known else await self._make_checkout(session, person, self._product_id)

    async def open_portal(self, session: ReadSession, person: Person) -> str:
        """An address that lets its bearer in: made at each press, stored nowhere."""
        if not self._provider.is_configured:
            raise NotConfigured(NO_BILLING)
        async with self._turn():
            customer_id = await queries.find_customer_id(session, person.id)
            if customer_id is None:
                raise NoCustomer
            await self._attempts.take(Attempt("billing.portal", str(person.id), CALLS))
            return await self._provider.create_portal(customer_id, self._back)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """To be taken before the unit of work is used: whoever waits for a turn holds no connection."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable from None
        try:
            yield
        finally:
            self._turns.release()

    async def _make_checkout(self, session: WriteSession, person: Person, product_id: str) -> str:
        customer_id = await queries.find_customer_id(session, person.id)
        session_id, url = await self._provider.create_checkout(
            product_id=product_id,
            user_id=person.id,
            customer=make_customer(customer_id, person.email, person.name),
            return_url=f"{self._back}?done=checkout",
        )
        checkout = BillingCheckout(
            session_id=session_id, user_id=person.id, product_id=product_id, mode=self._mode, url=url
        )
        await queries.insert_checkout(session, checkout)
        return url

    async def _has_subscription(self, session: ReadSession | WriteSession, person_id: UUID) -> bool:
        return any(one.status in RUNNING for one in await queries.list_subscriptions(session, person_id))

    async def _wait_for_lock(self, session: WriteSession, person_id: UUID) -> None:
        try:
            await queries.lock_checkout_of(session, person_id, _PATIENCE_SECONDS)
        except DBAPIError as error:
            if isinstance(error.orig, LockNotAvailable):
                raise Unavailable from error
            raise


def _make_limit(entitlement: Entitlement) -> PlanLimit:
    plan = entitlement.plan
    return PlanLimit(
        f"The plan {plan.title} has room for {plan.connections} connections, and you have them.",
        details={"limit": plan.connections, "plan": plan.key},
        hint="Choose a larger plan under Settings, Billing, or delete a connection. Those that you have go on working.",
    )
