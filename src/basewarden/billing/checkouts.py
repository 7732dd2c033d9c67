"""Creates one checkout per person, even for concurrent requests in several processes.

The provider has no idempotency key, and may take ten seconds. The request that calls it holds a claim on the person,
which is a committed row, instead of a lock and its database connection; other requests wait for its result.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

from basewarden.accounts import Person
from basewarden.billing import queries
from basewarden.billing.errors import AlreadySubscribed
from basewarden.billing.models import BillingCheckout
from basewarden.billing.plans import RUNNING
from basewarden.billing.provider import SECONDS, BillingProvider, make_customer
from basewarden.core.ids import make_id
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import Unavailable

REUSE = timedelta(minutes=10)
CLAIM_TTL = timedelta(seconds=SECONDS + 20)
"""Longer than the provider may take: an expired claim was left behind by a process that died."""
LOCK_SECONDS = 15
_POLL_SECONDS = 0.2
_HAS_SUBSCRIPTION = "Change or end it in the customer portal."


class Checkouts:
    def __init__(self, *, database: Database, provider: BillingProvider, mode: str, return_url: str) -> None:
        self._database = database
        self._provider = provider
        self._mode = mode
        self._return_url = return_url

    async def start(self, person: Person, product_id: str) -> str:
        """Returns the address where the person pays.

        Raises AlreadySubscribed, ProviderFailed, or Unavailable if another request's call takes too long.
        """
        claim_id = make_id()
        try:
            async with asyncio.timeout(LOCK_SECONDS):
                known = await self._find_or_claim(person.id, product_id, claim_id)
                while known is None:
                    await asyncio.sleep(_POLL_SECONDS)
                    known = await self._find_or_claim(person.id, product_id, claim_id)
        except TimeoutError:
            raise Unavailable from None
        return known or await self._make_under_claim(person, product_id, claim_id)

    async def _find_or_claim(self, person_id: UUID, product_id: str, claim_id: UUID) -> str | None:
        """Returns the address of a known checkout, "" if this request now holds the claim, or None if another one does.

        The claim comes first, so that a checkout that was made under the claim before is seen afterwards.
        """
        async with self._database.write_now() as session:
            if not await queries.claim_checkout(session, person_id, claim_id, CLAIM_TTL):
                return None
            if await has_subscription(session, person_id):
                raise AlreadySubscribed(hint=_HAS_SUBSCRIPTION)  # and the claim is rolled back
            known = await queries.find_checkout(session, person_id, product_id, self._mode, REUSE)
            if known is None:
                return ""
            await queries.release_checkout(session, person_id, claim_id)
            return known.url

    async def _make_under_claim(self, person: Person, product_id: str, claim_id: UUID) -> str:
        try:
            made = await self._ask_provider(person, product_id)
            async with self._database.write_now() as session:
                await queries.insert_checkout(session, made)
        finally:
            async with self._database.write_now() as session:
                await queries.release_checkout(session, person.id, claim_id)
        return made.url

    async def _ask_provider(self, person: Person, product_id: str) -> BillingCheckout:
        async with self._database.read_only() as session:
            customer_id = await queries.find_customer_id(session, person.id)
        session_id, url = await self._provider.create_checkout(
            product_id=product_id,
            user_id=person.id,
            customer=make_customer(customer_id, person.email, person.name),
            return_url=self._return_url,
        )
        return BillingCheckout(
            session_id=session_id, user_id=person.id, product_id=product_id, mode=self._mode, url=url
        )


async def has_subscription(session: ReadSession | WriteSession, person_id: UUID) -> bool:
    """A subscription that would be charged again."""
    return any(one.status in RUNNING for one in await queries.list_subscriptions(session, person_id))
