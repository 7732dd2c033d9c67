"""Retries deliveries that could not be applied, and reports those that still fail after an hour to the operators."""

from datetime import timedelta
from typing import Any

import structlog

from basewarden.billing import queries
from basewarden.billing.emails import BillingEmailKind, BillingEmails
from basewarden.billing.events import Deliveries
from basewarden.db import Database, WriteSession
from basewarden.errors import AppError
from basewarden.jobs import Jobs, RetryPolicy

RETRY, APPLY = "billing.retry", "billing.apply"
EVERY_MINUTE = "* * * * *"
MOST_ATTEMPTS = 20
"""All retries, including the provider's own: more than three days with the waits below."""
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)
OVERDUE = timedelta(hours=1)
_AT_ONCE = 100
_ONCE = RetryPolicy(attempts=1)
_log = structlog.get_logger()


class Retries:
    def __init__(self, *, database: Database, jobs: Jobs, deliveries: Deliveries, emails: BillingEmails) -> None:
        self._database = database
        self._jobs = jobs
        self._deliveries = deliveries
        self._emails = emails
        jobs.register_periodic(RETRY, EVERY_MINUTE, self.retry_due)
        jobs.register(APPLY, self._run_apply, retry=_ONCE)

    async def retry_due(self) -> None:
        """Retries each delivery in a job of its own, so that a failing one does not delay the others."""
        async with self._database.unit_of_work() as unit:
            for webhook_id in await queries.claim_retries(
                unit, MOST_ATTEMPTS, first=FIRST_WAIT, longest=LONGEST_WAIT, limit=_AT_ONCE
            ):
                await self._jobs.enqueue(unit, APPLY, {"webhook_id": webhook_id})
            await self._notify_operators(unit)

    async def _run_apply(self, arguments: dict[str, Any]) -> None:
        webhook_id = arguments["webhook_id"]
        try:
            await self._deliveries.apply(webhook_id)
        except AppError as error:  # its receipt says why, and when it is tried again
            _log.warning("billing.retry_failed", webhook_id=webhook_id, reason=type(error).__name__)

    async def _notify_operators(self, unit: WriteSession) -> None:
        """Sends one email per delivery; without a mail server, only the operator's page shows it."""
        if not self._emails.can_reach_operators:
            return
        overdue = await queries.list_overdue(unit, OVERDUE, BillingEmailKind.NOT_APPLIED, limit=_AT_ONCE)
        new = [one for one in overdue if await queries.take_notice(unit, BillingEmailKind.NOT_APPLIED, one.webhook_id)]
        if new:
            await self._emails.enqueue_for_operators(unit, BillingEmailKind.NOT_APPLIED, deliveries=new)
