"""Calls the payment provider through its official client. Stores nothing, and never reveals the key.

A call that creates something is never repeated: the client sends no idempotency key, so a retry could create a second
one. Callers must prevent concurrent calls.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import structlog
from dodopayments import APIStatusError, AsyncDodoPayments, DodoPaymentsError, NotFoundError
from dodopayments.types import CheckoutSessionResponse, CustomerPortalSession
from dodopayments.types.attach_existing_customer_param import AttachExistingCustomerParam
from dodopayments.types.customer_request_param import CustomerRequestParam
from dodopayments.types.new_customer_param import NewCustomerParam

from basewarden.billing.bodies import SubscriptionBody
from basewarden.billing.errors import NO_BILLING, NoCustomer, ProviderFailed
from basewarden.db import note_waiting
from basewarden.errors import NotConfigured
from basewarden.settings import Settings

SECONDS = 10.0
_CONNECT_SECONDS = 3.0
_LONGEST_URL = 4000
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Purchase:
    """The result of a checkout. None: there is no payment, or no subscription, yet."""

    payment_status: str | None
    subscription: SubscriptionBody | None


class BillingProvider:
    def __init__(self, settings: Settings, *, seconds: float = SECONDS) -> None:
        self._key = settings.dodo_api_key
        self._base_url = settings.dodo_base_url or None
        self._is_live = settings.dodo_mode == "live"
        self._seconds = seconds

    @property
    def is_configured(self) -> bool:
        return bool(self._key)

    async def create_checkout(
        self, *, product_id: str, user_id: UUID, customer: CustomerRequestParam, return_url: str
    ) -> tuple[str, str]:
        """Returns the session's id and the address where the person pays.

        The purchase carries `user_id` in its metadata.
        """
        async with self._calling("checkout"):
            made = await self._client.checkout_sessions.create(
                product_cart=[{"product_id": product_id, "quantity": 1}],
                customer=customer,
                metadata={"user_id": str(user_id)},
                return_url=return_url,
            )
            if not isinstance(made, CheckoutSessionResponse):
                raise TypeError
            return _check_id(made.session_id), self._check_url(made.checkout_url)

    async def create_portal(self, customer_id: str, return_url: str) -> str:
        async with self._calling("portal"):
            try:
                made = await self._client.customers.customer_portal.create(customer_id, return_url=return_url)
            except NotFoundError:
                raise NoCustomer from None
            if not isinstance(made, CustomerPortalSession):
                raise TypeError
            return self._check_url(made.link)

    async def find_purchase(self, session_id: str) -> Purchase:
        """Returns its current state. Raises ProviderFailed also for an answer that cannot be read."""
        async with self._calling("purchase"):
            checkout = await self._client.checkout_sessions.retrieve(session_id)
            if not checkout.payment_id:
                return Purchase(checkout.payment_status, None)
            payment = await self._client.payments.retrieve(_check_id(checkout.payment_id))
            if not payment.subscription_id:
                return Purchase(payment.status, None)
            found = await self._client.subscriptions.retrieve(_check_id(payment.subscription_id))
            return Purchase(payment.status, SubscriptionBody.model_validate(found.to_dict(mode="json")))

    async def cancel_subscription(self, subscription_id: str) -> None:
        """Stops further charges.

        A subscription that the provider does not know, or that has ended, counts as cancelled.
        """
        async with self._calling("cancel"):
            try:
                await self._client.subscriptions.update(subscription_id, status="cancelled")
            except NotFoundError:
                _log.warning("billing.unknown_subscription", subscription=subscription_id)

    async def close(self) -> None:
        if "_client" in self.__dict__:
            await self._client.close()

    @cached_property
    def _client(self) -> AsyncDodoPayments:
        """The environment is always passed: by default the client would use the live one."""
        if not self._key:
            raise NotConfigured(NO_BILLING)
        return AsyncDodoPayments(
            bearer_token=self._key.reveal(),
            environment="live_mode" if self._is_live else "test_mode",
            base_url=self._base_url,
            timeout=httpx.Timeout(self._seconds, connect=_CONNECT_SECONDS),
            max_retries=0,
        )

    @asynccontextmanager
    async def _calling(self, call: str) -> AsyncIterator[None]:
        """Every fault of the provider is a 502; the log has its status and code, never its text.

        The client's own timeout is for each piece of an answer; this one also ends an answer that arrives byte
        by byte.
        """
        note_waiting("the payment provider")
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except DodoPaymentsError as error:
            _log.warning("billing.provider_failed", call=call, reason=type(error).__name__, **_read_code(error))
            raise ProviderFailed from None
        except (
            TimeoutError,
            httpx.HTTPError,
            ValueError,
            TypeError,
            AttributeError,
        ) as error:  # an answer of another shape
            _log.warning("billing.provider_failed", call=call, reason=type(error).__name__)
            raise ProviderFailed from None

    def _check_url(self, url: Any) -> str:
        """A browser is redirected there, so it must use TLS, unless the provider itself does not (in tests)."""
        if not isinstance(url, str) or len(url) > _LONGEST_URL or not url.isprintable():
            raise TypeError
        parts = urlsplit(url)
        schemes = {"https", urlsplit(self._base_url or "").scheme or "https"}
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError
        return url


def make_customer(customer_id: str | None, email: str, name: str) -> CustomerRequestParam:
    if customer_id is not None:
        return AttachExistingCustomerParam(customer_id=customer_id)
    return NewCustomerParam(email=email, name=name or email)


def _check_id(text: Any) -> str:
    if not isinstance(text, str) or not 0 < len(text) <= 200 or not text.isprintable():
        raise TypeError
    return text


def _read_code(error: DodoPaymentsError) -> dict[str, Any]:
    if not isinstance(error, APIStatusError):
        return {}
    body = error.body
    code = body.get("code") if isinstance(body, dict) else None
    return {"status": error.status_code, "code": str(code)[:80] if code else None}
