"""Billing's jobs: they announce the end of trials, and cancel the subscriptions of deleted accounts."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from basewarden.billing import queries
from basewarden.billing.emails import BillingEmailKind, BillingEmails, format_amount, format_day
from basewarden.billing.models import BillingSubscription
from basewarden.billing.plans import RUNNING
from basewarden.billing.provider import BillingProvider
from basewarden.db import Database, WriteSession
from basewarden.jobs import Jobs, RetryPolicy

TRIALS = "billing.trials"
CANCEL = "billing.cancel"
HOURLY = "41 * * * *"
EMAIL_BEFORE = timedelta(days=3)
RETRY = RetryPolicy(attempts=12, first=timedelta(seconds=30), factor=4, longest=timedelta(hours=4))


class BillingJobs:
    def __init__(self, *, database: Database, jobs: Jobs, emails: BillingEmails, provider: BillingProvider) -> None:
        self._database = database
        self._jobs = jobs
        self._emails = emails
        self._provider = provider
        jobs.register_periodic(TRIALS, HOURLY, self.email_about_trials)
        jobs.register(CANCEL, self._run_cancel, retry=RETRY)

    async def email_about_trials(self) -> None:
        """Sent once per trial, three days before the first charge."""
        async with self._database.unit_of_work() as unit:
            for subscription in await queries.list_trials_ending(unit, EMAIL_BEFORE):
                await self._send_email(unit, subscription)

    async def cancel_all(self, session: WriteSession, person_id: UUID) -> int:
        """Enqueues a cancellation of each when the unit of work commits; returns how many there were."""
        running = await queries.list_running_ids(session, person_id, sorted(RUNNING))
        if self._provider.is_configured:
            for subscription_id in running:
                await self._jobs.enqueue(session, CANCEL, {"subscription_id": subscription_id})
        return len(running)

    async def _run_cancel(self, arguments: dict[str, Any]) -> None:
        await self._provider.cancel_subscription(arguments["subscription_id"])

    async def _send_email(self, unit: WriteSession, subscription: BillingSubscription) -> None:
        person = subscription.user_id or await queries.find_user_of_customer(unit, subscription.customer_id)
        await self._emails.enqueue_once(
            unit,
            BillingEmailKind.TRIAL_ENDING,
            subscription.subscription_id,
            person,
            until=format_day(subscription.started_at + timedelta(days=subscription.trial_days)),
            amount=format_amount(subscription.amount, subscription.currency),
        )
