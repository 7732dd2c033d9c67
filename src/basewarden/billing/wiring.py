"""Adds plans, checkout and the payment provider's webhooks to the registry."""

from contextlib import AsyncExitStack

from basewarden.accounts import Attempts
from basewarden.billing import pages, routes
from basewarden.billing.emails import BillingEmails
from basewarden.billing.erasure import BillingErasure
from basewarden.billing.events import Deliveries
from basewarden.billing.export import BILLING_PARTS
from basewarden.billing.jobs import BillingJobs
from basewarden.billing.operator import Grants, Receipts
from basewarden.billing.provider import BillingProvider
from basewarden.billing.pruning import BILLING_PRUNERS
from basewarden.billing.pruning.queries import has_dealings
from basewarden.billing.retries import Retries
from basewarden.billing.returns import Returns
from basewarden.billing.service import Billing, Plans
from basewarden.db import Database
from basewarden.jobs import Jobs
from basewarden.mail import Mail
from basewarden.settings import Settings
from basewarden.web import Registry

ROUTERS = (routes.router, pages.router)
EXPORT_PARTS = BILLING_PARTS
PRUNERS = BILLING_PRUNERS
has_ties = has_dealings


def wire(registry: Registry) -> None:
    settings, database, attempts = registry.get(Settings), registry.get(Database), registry.get(Attempts)
    jobs = registry.get(Jobs)
    plans = registry.add(Plans(settings))
    provider = registry.add(BillingProvider(settings))
    emails = registry.add(BillingEmails(registry.get(Mail), settings))
    registry.add(Billing(database=database, provider=provider, plans=plans, attempts=attempts, settings=settings))
    deliveries = registry.add(Deliveries(database, emails))
    registry.add(Returns(database=database, provider=provider, deliveries=deliveries, attempts=attempts))
    registry.add(Receipts(database, deliveries))
    registry.add(Retries(database=database, jobs=jobs, deliveries=deliveries, emails=emails))
    registry.add(Grants())
    registry.add(BillingJobs(database=database, jobs=jobs, emails=emails, provider=provider))


def list_erasure_handlers(registry: Registry) -> tuple[BillingErasure, ...]:
    return (BillingErasure(registry.get(BillingJobs)),)


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    stack.push_async_callback(registry.get(BillingProvider).close)
