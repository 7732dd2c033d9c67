"""The billing page of a person, and the operator's. Every form works without JavaScript.

The Content-Security-Policy forbids forms that lead to another site, even by a redirect. So the form answers with a page
that redirects to the provider by itself, and has a link as well.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import Operator, Person, SignedIn
from basewarden.billing.emails import format_amount
from basewarden.billing.operator import Grants, Receipts
from basewarden.billing.plans import CATALOG, BillingPlan, PlanState, Problem
from basewarden.billing.retries import MOST_ATTEMPTS
from basewarden.billing.returns import CheckoutResult, Returns
from basewarden.billing.routes import BillingDep
from basewarden.core.ids import parse_id
from basewarden.core.text import clean_line
from basewarden.db import ReadSession
from basewarden.errors import AppError, Invalid, NotFound
from basewarden.web import PagesDep, Reading, Writing, anyone, inject, parse_form, redirect, show_again

router = APIRouter(include_in_schema=False)

BILLING = "/settings/billing"
OPERATOR = "/operator/billing"
_ACCOUNT = "/settings/account"
_PAGE_ROWS = 50
_LONGEST_GRANT = timedelta(days=366 * 5)

ReceiptsDep = Annotated[Receipts, Depends(inject(Receipts))]
GrantsDep = Annotated[Grants, Depends(inject(Grants))]
CountConnections = Callable[[ReadSession, UUID], Awaitable[int]]


class Usage:
    """`connections/wiring.py` passes the function that counts connections, because billing is below it."""

    def __init__(self, count_connections: CountConnections) -> None:
        self.count_connections = count_connections


UsageDep = Annotated[Usage, Depends(inject(Usage))]

ReturnsDep = Annotated[Returns, Depends(inject(Returns))]

_RETURNS = {
    CheckoutResult.ACTIVE: ("ok", "Thank you. Your plan is active."),
    CheckoutResult.UNPAID: (
        "info",
        "No payment has arrived for your checkout yet. This page checks again in a few seconds.",
    ),
    CheckoutResult.PROCESSING: ("info", "Your payment is being processed. This page checks again in a few seconds."),
    CheckoutResult.FAILED: ("danger", "The payment failed and your plan has not changed. You can try again below."),
}
_STILL = {
    CheckoutResult.UNPAID: (
        "info",
        "No payment has arrived for your checkout. If you did not finish it, start again below.",
    ),
    CheckoutResult.PROCESSING: (
        "info",
        "Your payment is still being processed. Reload this page in a few minutes to check again.",
    ),
}
_CHECKS = 5
_CHECK_AGAIN_SECONDS = 3
_OPERATOR_DONE = {
    "applied": "Applied.",
    "already_applied": "It was already applied.",
    "failed": "It could not be applied. Its error is below.",
    "granted": "Given.",
    "ended": "Ended.",
}
_STATES = {
    PlanState.UNLIMITED: ("no limits", "ok", "✓"),
    PlanState.FREE: ("free", "plain", "○"),
    PlanState.PENDING: ("waiting for the payment", "warn", "…"),
    PlanState.TRIALING: ("trial", "accent", "●"),
    PlanState.ACTIVE: ("active", "ok", "✓"),
    PlanState.PAST_DUE: ("payment failed", "danger", "!"),
    PlanState.PAUSED: ("paused", "warn", "■"),
    PlanState.CANCELLED: ("cancelled", "warn", "■"),
    PlanState.ENDED: ("ended", "plain", "■"),
    PlanState.GRANTED: ("granted", "accent", "●"),
}
_UNTIL = {
    PlanState.TRIALING: "First charge",
    PlanState.ACTIVE: "Renews",
    PlanState.PAST_DUE: "Active until",
    PlanState.CANCELLED: "Active until",
    PlanState.GRANTED: "Granted until",
}
_PROBLEMS = {
    Problem.PAYMENT_FAILED: "The last payment failed",
    Problem.PAUSED: "Your subscription is paused",
    Problem.SETUP_FAILED: "The payment could not be set up",
}


class GrantForm(BaseModel):
    email: Annotated[str, Field(max_length=320), AfterValidator(clean_line)]
    plan: str
    until: date
    note: Annotated[str, Field(max_length=200), AfterValidator(clean_line)] = ""


@router.get("/billing", dependencies=[Depends(anyone)])
async def get_short() -> Response:
    """Redirects from the path that people guess."""
    return redirect(BILLING)


@router.get(BILLING)
async def get_billing(
    *,
    request: Request,
    person: SignedIn,
    session: Reading,
    pages: PagesDep,
    billing: BillingDep,
    returns: ReturnsDep,
    usage: UsageDep,
) -> Response:
    """After a checkout the provider is asked first, without holding a database connection."""
    returned = await _check_return(request, person, returns)
    overview = await billing.describe(session, person)
    if not overview.is_configured:
        return redirect(_ACCOUNT)  # where nothing is sold, there is nothing to show
    return pages.render(
        request,
        "billing/billing.html",
        settings_tab="billing",
        overview=overview,
        used=await usage.count_connections(session, person.id),
        state=_STATES[overview.entitlement.state],
        until_words=_UNTIL.get(overview.entitlement.state),
        problem=_PROBLEMS[overview.entitlement.problem] if overview.entitlement.problem else None,
        plan_sold=CATALOG.hosted,
        plans_shown=_list_shown(overview.entitlement.plan),
        format_amount=format_amount,
        **returned,
    )


def _list_shown(own: BillingPlan) -> list[BillingPlan]:
    """Lists the plans to compare: those that are for sale, and the person's own one."""
    return [CATALOG.free, CATALOG.hosted, *([] if own in (CATALOG.free, CATALOG.hosted) else [own])]


async def _check_return(request: Request, person: Person, returns: Returns) -> dict[str, Any]:
    """Reloads a waiting page a few times, without script."""
    if request.query_params.get("done") != "checkout":
        return {"returned": None, "check_again_href": None}
    result = await returns.check(person)
    checked = request.query_params.get("checked", "")
    count = int(checked) + 1 if checked in map(str, range(_CHECKS)) else 1
    if result not in _STILL:
        return {"returned": _RETURNS[result], "check_again_href": None}
    if count >= _CHECKS:
        return {"returned": _STILL[result], "check_again_href": None}
    href = f"{BILLING}?done=checkout&checked={count}"
    return {"returned": _RETURNS[result], "check_again_href": href, "check_again_seconds": _CHECK_AGAIN_SECONDS}


@router.post(f"{BILLING}/checkout")
async def post_checkout(request: Request, person: SignedIn, pages: PagesDep, billing: BillingDep) -> Response:
    url = await billing.start_checkout(person)
    return pages.render(request, "billing/go.html", settings_tab="billing", url=url, goal="the checkout")


@router.post(f"{BILLING}/portal")
async def post_portal(request: Request, person: SignedIn, pages: PagesDep, billing: BillingDep) -> Response:
    url = await billing.open_portal(person)
    return pages.render(request, "billing/go.html", settings_tab="billing", url=url, goal="the customer portal")


@router.get(OPERATOR)
async def get_operator(
    *, request: Request, _: Operator, session: Reading, pages: PagesDep, receipts: ReceiptsDep, grants: GrantsDep
) -> Response:
    context = await _describe(request, session, receipts, grants)
    return pages.render(request, "billing/operator.html", typed={}, errors={}, **context)


@router.post(f"{OPERATOR}/receipts/{{receipt_id}}/apply")
async def post_apply(receipt_id: str, _: Operator, receipts: ReceiptsDep) -> Response:
    outcome = await receipts.apply_again(_parse(receipt_id))
    return redirect(f"{OPERATOR}?done={outcome or 'failed'}")


@router.post(f"{OPERATOR}/grants")
async def post_grant(
    *,
    request: Request,
    _: Operator,
    session: Writing,
    pages: PagesDep,
    receipts: ReceiptsDep,
    grants: GrantsDep,
) -> Response:
    form = await parse_form(request, GrantForm)
    error: AppError | None = None
    if form.data is not None:
        given = form.data
        try:
            until = _read_until(given.until)
            await grants.give(session, email=given.email, plan=given.plan, until=until, note=given.note)
            return redirect(f"{OPERATOR}?done=granted")
        except Invalid as refused:
            error = refused
    context = await _describe(request, ReadSession(session), receipts, grants)
    return show_again(request, pages, "billing/operator.html", form, error, **context)


@router.post(f"{OPERATOR}/grants/{{grant_id}}/end")
async def post_end_grant(grant_id: str, _: Operator, session: Writing, grants: GrantsDep) -> Response:
    await grants.end(session, _parse(grant_id))
    return redirect(f"{OPERATOR}?done=ended")


async def _describe(request: Request, session: ReadSession, receipts: Receipts, grants: Grants) -> dict[str, Any]:
    not_applied = request.query_params.get("show") == "not-applied"
    before = parse_id(request.query_params.get("before", ""))
    rows = await receipts.list_page(session, not_applied=not_applied, before=before, limit=_PAGE_ROWS + 1)
    shown = rows[:_PAGE_ROWS]
    query = "show=not-applied&" if not_applied else ""
    return {
        "receipts": shown,
        "not_applied": not_applied,
        "waiting": await receipts.count_waiting(session),
        "overdue": await receipts.count_overdue(session),
        "most_attempts": MOST_ATTEMPTS,
        "next_href": f"{OPERATOR}?{query}before={shown[-1].id}" if len(rows) > _PAGE_ROWS else None,
        "is_first": before is None,
        "grants": await grants.list_newest(session),
        "plans": [(plan.key, plan.title) for plan in CATALOG.granted],
        "now": datetime.now(UTC),
        "done": _OPERATOR_DONE.get(request.query_params.get("done", "")),
    }


def _read_until(day: date) -> datetime:
    """The plan lasts until the end of that day in UTC."""
    until = datetime.combine(day, time(23, 59, 59), UTC)
    now = datetime.now(UTC)
    if not now < until < now + _LONGEST_GRANT:
        raise Invalid.field("until", "must be a future date within five years")
    return until


def _parse(text: str) -> UUID:
    """An invalid id is an unknown one."""
    wanted = parse_id(text)
    if wanted is None:
        raise NotFound
    return wanted
