"""Billing's JSON API, and the webhook of the payment provider."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from basewarden.accounts import SignedIn
from basewarden.billing.callers import SignedDelivery
from basewarden.billing.errors import (
    AlreadySubscribed,
    BadDelivery,
    NoCustomer,
    NotApplied,
    ProviderFailed,
    StaleDelivery,
    WrongSignature,
)
from basewarden.billing.events import Deliveries
from basewarden.billing.service import Billing, Overview
from basewarden.errors import NotConfigured, TooLarge, TooMany, Unavailable
from basewarden.web import STABLE, Reading, ResponseBody, declare, inject

router = APIRouter(prefix="/api", tags=["billing"])

BillingDep = Annotated[Billing, Depends(inject(Billing))]
DeliveriesDep = Annotated[Deliveries, Depends(inject(Deliveries))]

_CALLS = (TooMany, NotConfigured, ProviderFailed)


class CheckoutOut(ResponseBody):
    checkout_url: str


class PortalOut(BaseModel):
    url: str


class Received(BaseModel):
    outcome: Literal["applied", "already_applied"]


class LimitsOut(BaseModel):
    """None = no limit. `members` are those of one connection, with its owner; `invitations`: there may be others."""

    connections: int | None
    members: int | None
    invitations: bool


class BillingOut(ResponseBody):
    """`until`: when the plan renews or ends, if known."""

    configured: bool
    plan: str
    state: str
    until: datetime | None
    problem: str | None
    limits: LimitsOut
    has_customer: bool


@router.get("/billing", summary="Returns your plan and its limits.")
async def get_billing(person: SignedIn, session: Reading, billing: BillingDep) -> BillingOut:
    return _show(await billing.describe(session, person))


@router.post(
    "/billing/checkout",
    responses=declare(*_CALLS, AlreadySubscribed),
    summary="Creates a checkout at the payment provider.",
    openapi_extra=STABLE,
)
async def post_checkout(person: SignedIn, billing: BillingDep) -> CheckoutOut:
    """For some minutes a repeated request returns the same checkout."""
    return CheckoutOut(checkout_url=await billing.start_checkout(person))


@router.post(
    "/billing/portal",
    responses=declare(*_CALLS, NoCustomer),
    summary="Returns the address of the payment provider's customer portal.",
    openapi_extra=STABLE,
)
async def post_portal(person: SignedIn, billing: BillingDep) -> PortalOut:
    return PortalOut(url=await billing.open_portal(person))


@router.post(
    "/webhooks/dodo",
    responses=declare(BadDelivery, StaleDelivery, WrongSignature, TooLarge, NotConfigured, NotApplied, Unavailable),
    summary="Receives a delivery of the payment provider.",
    openapi_extra=STABLE,
)
async def post_webhook(delivery: SignedDelivery, deliveries: DeliveriesDep) -> Received:
    """Deliveries follow Standard Webhooks.

    200 says that the delivery was applied, now or before; 5xx asks the provider to send it again.
    """
    outcome = await deliveries.receive(delivery)
    return Received(outcome=outcome.value)


def _show(overview: Overview) -> BillingOut:
    entitlement = overview.entitlement
    return BillingOut(
        configured=overview.is_configured,
        plan=entitlement.plan.key,
        state=entitlement.state,
        until=entitlement.until,
        problem=entitlement.problem,
        limits=LimitsOut(
            connections=entitlement.plan.connections,
            members=entitlement.plan.members,
            invitations=entitlement.plan.invitations,
        ),
        has_customer=overview.has_customer,
    )
