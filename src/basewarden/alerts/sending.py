"""Sends messages: by HTTP to a URL, or as an email. A message is tried for about a day."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from basewarden.accounts import User, find_user
from basewarden.alerts import queries
from basewarden.alerts.bodies import list_lines, make_body
from basewarden.alerts.models import Alert, AlertChannel, AlertDelivery, DeliveryState, DisabledReason
from basewarden.alerts.payloads import decode_payload
from basewarden.alerts.requests import SEND_SECONDS, SendResult, make_headers, send_request
from basewarden.alerts.service import Alerts
from basewarden.connections import Role, list_openable_roles, list_owner_ids, list_person_roles
from basewarden.db import Database, WriteSession
from basewarden.jobs import Jobs, RetryPolicy
from basewarden.mail import Email, Mail, render_email
from basewarden.settings import Settings
from basewarden.vault import VaultError

SEND = "alerts.send"
RETRY = RetryPolicy(attempts=8, first=timedelta(seconds=30), factor=5, longest=timedelta(hours=9))
"""About a day in all."""
CLAIM_TTL = timedelta(seconds=SEND_SECONDS + 20)
"""Longer than sending can take: a process that finds an expired claim may take the message over."""
DISABLE_AFTER = timedelta(days=3)
END_LOST = "alerts.end_lost"
LOST_AFTER = timedelta(days=2)
"""After the last attempt at a message; its job runs again much sooner."""
MAX_SENDING = 2
"""Of the jobs that a process runs at once: slow targets must not keep emails and other jobs waiting."""
_BUSY_PAUSE = timedelta(seconds=3)
_log = structlog.get_logger()


class NotDeliveredYet(Exception):
    """Makes the job queue try again."""


class AlertSender:
    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        mail: Mail,
        alerts: Alerts,
        settings: Settings,
        retry: RetryPolicy = RETRY,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._mail = mail
        self._alerts = alerts
        self._origin = settings.origin
        self._allow_private = settings.allow_private_addresses
        self._retry = retry
        self._slots = asyncio.Semaphore(MAX_SENDING)
        # More attempts than a message has, because some runs find it claimed: so the message fails before its job does.
        jobs.register(
            SEND, self._run_send, retry=RetryPolicy(2 * retry.attempts + 1, retry.first, retry.factor, retry.longest)
        )
        jobs.register_periodic(END_LOST, "17 4 * * *", self.end_lost)

    async def end_lost(self) -> None:
        """Ends messages whose job was lost. Once a day, since no index leads to them."""
        async with self._database.unit_of_work() as unit:
            await queries.fail_lost_deliveries(unit, LOST_AFTER, "It was not sent in time.")

    async def enqueue(self, unit: WriteSession, delivery_id: UUID, *, after: timedelta | None = None) -> None:
        await self._jobs.enqueue(unit, SEND, {"delivery_id": str(delivery_id)}, after=after)

    async def send_now(self, alert: Alert, delivery: AlertDelivery) -> SendResult:
        """Sends a message that the caller has claimed, and stores the result."""
        result = await self._send(alert, delivery)
        async with self._database.unit_of_work() as unit:
            await self._note(unit, delivery, result, is_last=True)
        return result

    async def _run_send(self, arguments: dict[str, str]) -> None:
        """Claims the message, sends it without holding a database connection, and stores the result."""
        delivery_id = UUID(arguments["delivery_id"])
        if self._slots.locked():
            async with self._database.unit_of_work() as unit:
                await self.enqueue(unit, delivery_id, after=_BUSY_PAUSE)
            return
        async with self._slots:
            await self._try(delivery_id)

    async def _try(self, delivery_id: UUID) -> None:
        async with self._database.unit_of_work() as unit:
            delivery = await queries.claim_delivery(unit, delivery_id, CLAIM_TTL)
            is_claimed_elsewhere = delivery is None and await queries.is_queued(unit, delivery_id)
            alert = await queries.lock_alert(unit, delivery.alert_id) if delivery is not None else None
            if delivery is not None and alert is not None and alert.disabled_at is not None:
                await queries.note_result(unit, delivery, state=DeliveryState.FAILED, error="The alert is off.")
                return
            if delivery is not None and alert is not None and alert.channel == AlertChannel.EMAIL:
                await self.send_email(unit, alert, delivery)
                return
        if is_claimed_elsewhere:
            raise NotDeliveredYet
        if delivery is not None and alert is not None:
            await self._try_request(alert, delivery)

    async def _try_request(self, alert: Alert, delivery: AlertDelivery) -> None:
        is_last = delivery.attempts >= self._retry.attempts
        try:
            result = await self._send(alert, delivery)
        except asyncio.CancelledError:
            await self._release(delivery)  # this process stops: the next one need not wait until the claim expires
            raise
        async with self._database.unit_of_work() as unit:
            state = await self._note(unit, delivery, result, is_last=is_last)
        if state is DeliveryState.QUEUED:
            raise NotDeliveredYet

    async def _send(self, alert: Alert, delivery: AlertDelivery) -> SendResult:
        try:
            target, secrets = self._alerts.open_target(alert), self._alerts.open_secrets(alert)
        except VaultError as error:
            return SendResult(error=error.text)
        body = make_body(alert.channel, delivery.payload)
        headers = make_headers(delivery.id, body, secrets)
        return await send_request(target, alert.channel, body, headers, allow_private=self._allow_private)

    async def _note(
        self, unit: WriteSession, delivery: AlertDelivery, result: SendResult, *, is_last: bool
    ) -> DeliveryState:
        """Stores the result of an attempt at the message and its alert; returns the message's state."""
        alert = await queries.lock_alert(unit, delivery.alert_id)
        if alert is None:
            return DeliveryState.FAILED
        if result.is_delivered:
            state = DeliveryState.DELIVERED
            alert.failing_since, alert.delivered_at = None, datetime.now(UTC)
        else:
            alert.failing_since = alert.failing_since or datetime.now(UTC)
            await self._disable_if_hopeless(unit, alert, result)
            state = DeliveryState.FAILED if is_last or alert.disabled_at is not None else DeliveryState.QUEUED
            _log.warning("alerts.not_delivered", alert=str(alert.id), status=result.status, attempt=delivery.attempts)
        await queries.note_result(
            unit, delivery, state=state, status=result.status, answer=result.answer, error=result.error
        )
        return state

    async def _disable_if_hopeless(self, unit: WriteSession, alert: Alert, result: SendResult) -> None:
        if alert.disabled_at is not None or alert.failing_since is None:
            return
        if result.is_gone:
            await self._disable(unit, alert, DisabledReason.GONE)
        elif datetime.now(UTC) - alert.failing_since >= DISABLE_AFTER:
            await self._disable(unit, alert, DisabledReason.FAILING)

    async def _disable(self, unit: WriteSession, alert: Alert, reason: DisabledReason) -> None:
        """Turns the alert off and sends an email to the owners of the connection."""
        await queries.disable_alert(unit, alert, reason)
        connection = await queries.find_connection(unit, alert.connection_id)
        for owner_id in await list_owner_ids(unit, alert.connection_id):
            owner = await find_user(unit, owner_id)
            if owner is not None and connection is not None:
                await self._enqueue_email(
                    unit,
                    owner,
                    "alert_disabled",
                    connection=connection.name,
                    channel=alert.channel,
                    target=alert.target_hint,
                    is_gone=reason is DisabledReason.GONE,
                    page=f"/c/{connection.id}/alerts/{alert.id}",
                )

    async def send_email(self, unit: WriteSession, alert: Alert, delivery: AlertDelivery) -> None:
        """Queues the email of a claimed message with its result, so that it is queued once."""
        assert alert.user_id is not None
        person = await find_user(unit, alert.user_id)
        role = (await list_person_roles(unit, alert.user_id)).get(alert.connection_id)
        if person is None or role is None or not role.includes(Role.EDITOR):  # who gets an email must be able to end it
            await queries.disable_alert(unit, alert, DisabledReason.NO_EDITOR)
            error = "This person is no longer an editor of the connection."
        elif alert.connection_id not in await list_openable_roles(unit, alert.user_id):
            error = "The connection requires two-factor authentication, which this person has not set up."
        elif person.email_verified_at is None:
            error = "The address is not confirmed."
        elif not self._mail.is_configured:
            error = "This deployment has no mail server."
        else:
            data = decode_payload(delivery.payload).data
            await self._enqueue_email(unit, person, "alert", data=data, lines=list_lines(data))
            alert.delivered_at = datetime.now(UTC)
            await queries.note_result(unit, delivery, state=DeliveryState.DELIVERED)
            return
        await queries.note_result(unit, delivery, state=DeliveryState.FAILED, error=error)

    async def _enqueue_email(self, unit: WriteSession, person: User, kind: str, **facts: object) -> None:
        subject, text, html = render_email(f"alerts/emails/{kind}", name=person.name, origin=self._origin, **facts)
        email = Email(kind=kind, address=person.email, subject=subject, text=text, html=html, user_id=person.id)
        await self._mail.enqueue(unit, email)

    async def _release(self, delivery: AlertDelivery) -> None:
        async with self._database.unit_of_work() as unit:
            await queries.release_delivery(unit, delivery)
