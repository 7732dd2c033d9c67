"""A Dodo Payments of the tests' own: its HTTP as the official client speaks it, and deliveries as it sends them.

As it describes itself: deliveries come in no order, each with the state of the moment it is sent, until one is answered
with 2xx. `DodoWorld` is what it knows; `FakeDodo` serves it.
"""

import asyncio
import base64
import hmac
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from basewarden.core.secret import Secret
from tests.fixtures.app import Serve, ServedProduct
from tests.fixtures.ports import open_listener
from tests.fixtures.serving import serving

API_KEY = "a-dodo-key-of-the-tests-71c4"
PRODUCT_ID = "pdt_hosted"
WEBHOOK_KEY = b"a webhook key of the tests, 32 by"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(WEBHOOK_KEY).decode()
WEBHOOK_URL = "/api/webhooks/dodo"
Json = dict[str, Any]


def show(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Event:
    """Something that happened to one object; a delivery of it tells how that object is when it is sent."""

    id: str
    type: str
    at: datetime
    object_id: str


@dataclass(frozen=True)
class Sent:
    headers: dict[str, str]
    body: bytes


def sign_delivery(
    webhook_id: str, body: bytes, *, seconds: int | None = None, key: bytes = WEBHOOK_KEY, **headers: str
) -> Sent:
    at = str(int(time.time()) if seconds is None else seconds)
    digest = hmac.digest(key, f"{webhook_id}.{at}.".encode() + body, "sha256")
    signature = "v1," + base64.b64encode(digest).decode()
    own = {"webhook-id": webhook_id, "webhook-timestamp": at, "webhook-signature": signature}
    return Sent({"content-type": "application/json", **own, **headers}, body)


class DodoWorld:
    """Customers, subscriptions, payments, refunds and disputes as they are now, and what happened to them."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.customers: dict[str, Json] = {}
        self.events: list[Event] = []
        self._numbers = count(1)
        self._at = datetime.now(UTC)

    def subscribe(
        self,
        user_id: UUID | str | None,
        *,
        email: str = "buyer@example.com",
        customer_id: str | None = None,
        **state: Any,
    ) -> Event:
        """A new subscription, active unless `status` says otherwise. The event of it is the last one."""
        customer = self._customer(customer_id, email)
        now = self._tick()
        subscription = {
            "payload_type": "Subscription",
            "subscription_id": f"sub_{next(self._numbers)}",
            "customer": customer,
            "product_id": PRODUCT_ID,
            "status": "active",
            "metadata": {} if user_id is None else {"user_id": str(user_id)},
            "created_at": show(now),
            "previous_billing_date": show(now),
            "next_billing_date": show(now + timedelta(days=30)),
            "cancel_at_next_billing_date": False,
            "cancelled_at": None,
            "expires_at": show(now + timedelta(days=3650)),
            "trial_period_days": 0,
            "quantity": 1,
            "currency": "EUR",
            "recurring_pre_tax_amount": 1900,
            "tax_inclusive": False,
            "on_demand": False,
            "addons": [],
            "meters": [],
            "billing": {"country": "DE", "city": "Köln", "street": None, "state": None, "zipcode": None},
            "payment_frequency_count": 1,
            "payment_frequency_interval": "Month",
            "subscription_period_count": 10,
            "subscription_period_interval": "Year",
            **state,
        }
        self.objects[subscription["subscription_id"]] = subscription
        return self._happen(f"subscription.{subscription['status']}", subscription["subscription_id"])

    def change(self, object_id: str, type: str, **state: Any) -> Event:  # noqa: A002 - the provider's name
        self._tick()
        self.objects[object_id] = {**self.objects[object_id], **state}
        return self._happen(type, object_id)

    def pay(self, subscription_id: str, status: str = "succeeded", amount: int = 2261, **state: Any) -> Event:
        subscription = self.objects[subscription_id]
        payment = {
            "payload_type": "Payment",
            "payment_id": f"pay_{next(self._numbers)}",
            "customer": subscription["customer"],
            "metadata": subscription["metadata"],
            "subscription_id": subscription_id,
            "status": status,
            "total_amount": amount,
            "currency": "EUR",
            "created_at": show(self._tick()),
            "refunds": [],
            "disputes": [],
            **state,
        }
        self.objects[payment["payment_id"]] = payment
        return self._happen(f"payment.{status}", payment["payment_id"])

    def refund(self, payment_id: str, status: str = "succeeded") -> Event:
        payment = self.objects[payment_id]
        refund = {
            "payload_type": "Refund",
            "refund_id": f"ref_{next(self._numbers)}",
            "payment_id": payment_id,
            "customer": payment["customer"],
            "metadata": {},
            "status": status,
            "is_partial": False,
            "amount": payment["total_amount"],
            "currency": payment["currency"],
            "created_at": show(self._tick()),
        }
        self.objects[refund["refund_id"]] = refund
        return self._happen(f"refund.{status}", refund["refund_id"])

    def dispute(self, payment_id: str, status: str = "dispute_opened") -> Event:
        dispute = {
            "payload_type": "Dispute",
            "dispute_id": f"dis_{next(self._numbers)}",
            "payment_id": payment_id,
            "dispute_status": status,
            "dispute_stage": "dispute",
            "amount": str(self.objects[payment_id]["total_amount"]),
            "currency": "EUR",
            "created_at": show(self._tick()),
        }
        self.objects[dispute["dispute_id"]] = dispute
        return self._happen(f"dispute.{status.removeprefix('dispute_')}", dispute["dispute_id"])

    def deliver(self, event: Event, state: Json | None = None, *, seconds: int | None = None) -> Sent:
        """Signed, with the state that the object has now, unless another one is given."""
        data = self.objects[event.object_id] if state is None else state
        body = {"business_id": "bus_1", "type": event.type, "timestamp": show(event.at), "data": data}
        return sign_delivery(event.id, json.dumps(body).encode(), seconds=seconds)

    def _happen(self, type: str, object_id: str) -> Event:  # noqa: A002 - the provider's name
        event = Event(f"msg_{uuid4().hex}", type, self._tick(), object_id)
        self.events.append(event)
        return event

    def _customer(self, customer_id: str | None, email: str) -> Json:
        known = customer_id or next((key for key, one in self.customers.items() if one["email"] == email), None)
        key = known or f"cus_{next(self._numbers)}"
        return self.customers.setdefault(key, {"customer_id": key, "email": email, "name": "A Buyer", "metadata": {}})

    def _tick(self) -> datetime:
        """No two events at the same time."""
        self._at = max(datetime.now(UTC), self._at + timedelta(microseconds=1))
        return self._at


@dataclass
class FakeDodo:
    """`fail` is taken by one call of that path each, in order.

    A failure is an int (that status with the provider's `{code, message}`), "hang", "drop", "html", "not json", or a
    dict, sent with a 200. `checkouts` are the bodies that it was sent.
    """

    url: str = ""
    world: DodoWorld = field(default_factory=DodoWorld)
    checkouts: dict[str, Json] = field(default_factory=dict)
    payments: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=lambda: {API_KEY})
    _failures: dict[str, deque[Any]] = field(default_factory=dict)
    _hanging: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: asyncio.Event = field(default_factory=asyncio.Event)

    def settings(self) -> Json:
        """For `serve(…)`: the changes to the settings."""
        return {
            "dodo_api_key": Secret(API_KEY),
            "dodo_webhook_secret": Secret(WEBHOOK_SECRET),
            "dodo_product_id": PRODUCT_ID,
            "dodo_base_url": self.url,
        }

    def fail(self, path: str, *answers: Any) -> None:
        self._failures.setdefault(path, deque()).extend(answers)

    def release(self) -> None:
        self._hanging.set()

    async def wait_until_hanging(self) -> None:
        async with asyncio.timeout(10):
            await self._waiting.wait()

    def complete(self, session_id: str) -> list[Event]:
        """The person pays: what happens then, in order."""
        asked = self.checkouts[session_id]
        customer = asked["customer"]
        known = {"customer_id": customer.get("customer_id"), "email": customer.get("email", "")}
        bought = self.world.subscribe(asked["metadata"]["user_id"], **known)
        paid = self.world.pay(bought.object_id)
        self.payments[session_id] = paid.object_id
        return [bought, paid]

    async def get_checkout(self, request: Request) -> Response:
        if (failure := await self._fail(request)) is not None:
            return failure
        session_id = request.path_params["session_id"]
        if session_id not in self.checkouts:
            return _refuse(404, "CHECKOUT_NOT_FOUND")
        payment_id = self.payments.get(session_id)
        status = self.world.objects[payment_id]["status"] if payment_id else None
        known = {"id": session_id, "created_at": show(datetime.now(UTC)), "customer_email": None, "customer_name": None}
        return JSONResponse({**known, "payment_id": payment_id, "payment_status": status})

    async def get_object(self, request: Request) -> Response:
        """A payment or a subscription."""
        if (failure := await self._fail(request)) is not None:
            return failure
        found = self.world.objects.get(request.path_params["object_id"])
        return _refuse(404, "NOT_FOUND") if found is None else JSONResponse(found)

    async def post_checkout(self, request: Request) -> Response:
        if (failure := await self._fail(request)) is not None:
            return failure
        asked = json.loads(await request.body())
        cart = asked.get("product_cart") or []
        if [item.get("product_id") for item in cart] != [PRODUCT_ID]:
            return _refuse(422, "PRODUCT_NOT_FOUND")
        session_id = f"cks_{uuid4().hex[:12]}"
        self.checkouts[session_id] = asked
        return JSONResponse({"session_id": session_id, "checkout_url": f"{self.url}/session/{session_id}"})

    async def post_portal(self, request: Request) -> Response:
        if (failure := await self._fail(request)) is not None:
            return failure
        customer_id = request.path_params["customer_id"]
        if customer_id not in self.world.customers:
            return _refuse(404, "CUSTOMER_NOT_FOUND")
        return JSONResponse({"link": f"{self.url}/portal/{customer_id}?token={uuid4().hex}"})

    async def patch_subscription(self, request: Request) -> Response:
        if (failure := await self._fail(request)) is not None:
            return failure
        subscription_id = request.path_params["subscription_id"]
        if subscription_id not in self.world.objects:
            return _refuse(404, "SUBSCRIPTION_NOT_FOUND")
        asked = json.loads(await request.body())
        self.world.change(subscription_id, f"subscription.{asked['status']}", **asked)
        return JSONResponse(self.world.objects[subscription_id])

    async def _fail(self, request: Request) -> Response | None:
        path = request.url.path
        self.seen.append(f"{request.method} {path}")
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.keys:
            return _refuse(401, "UNAUTHORIZED")
        waiting = self._failures.get(path)
        if not waiting:
            return None
        answer = waiting.popleft()
        if answer == "hang":
            self._waiting.set()
            await self._hanging.wait()
            return None
        if isinstance(answer, int):
            return _refuse(answer, "SOMETHING_IS_WRONG")
        if answer == "html":
            return PlainTextResponse("<h1>Maintenance</h1>", media_type="text/html")
        return PlainTextResponse("{", media_type="application/json") if answer == "not json" else JSONResponse(answer)


def _refuse(status: int, code: str) -> Response:
    """Says more than it should, as some do: the product must not pass it on."""
    return JSONResponse({"code": code, "message": f"It is wrong. Your key is {API_KEY}."}, status)


@asynccontextmanager
async def open_dodo() -> AsyncIterator[FakeDodo]:
    dodo = FakeDodo()
    routes = [
        Route("/checkouts", dodo.post_checkout, methods=["POST"]),
        Route("/checkouts/{session_id}", dodo.get_checkout),
        Route("/payments/{object_id}", dodo.get_object),
        Route("/subscriptions/{object_id}", dodo.get_object),
        Route("/customers/{customer_id}/customer-portal/session", dodo.post_portal, methods=["POST"]),
        Route("/subscriptions/{subscription_id}", dodo.patch_subscription, methods=["PATCH"]),
    ]
    listener = open_listener()
    dodo.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with serving(Starlette(routes=routes), listener):
        try:
            yield dodo
        finally:
            dodo.release()


@dataclass(frozen=True)
class Selling:
    """A product with billing, and the provider that it sells through."""

    product: ServedProduct
    dodo: FakeDodo

    async def send(self, sent: Sent) -> httpx.Response:
        client = await self.product.client()
        return await client.post(WEBHOOK_URL, content=sent.body, headers=sent.headers)

    async def deliver(self, *events: Event) -> None:
        """Each once; each must be applied."""
        for event in events:
            answer = await self.send(self.dodo.world.deliver(event))
            assert answer.json() == {"outcome": "applied"}, answer.text


@pytest.fixture
async def dodo() -> AsyncIterator[FakeDodo]:
    async with open_dodo() as dodo:
        yield dodo


@pytest.fixture
async def selling(serve: Serve, dodo: FakeDodo) -> Selling:
    return Selling(await serve(dodo.settings()), dodo)
