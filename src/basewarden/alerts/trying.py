"""Tries a target at a person's request, and sends messages again."""

from datetime import UTC, datetime
from uuid import UUID

from basewarden.accounts import Attempt, Attempts, Limit
from basewarden.alerts import queries
from basewarden.alerts.errors import AlertDisabled
from basewarden.alerts.events import TEST
from basewarden.alerts.models import Alert, AlertChannel, AlertDelivery, DeliveryState
from basewarden.alerts.payloads import make_test_payload
from basewarden.alerts.sending import CLAIM_TTL, AlertSender
from basewarden.alerts.service import Alerts
from basewarden.connections import Connection
from basewarden.core.ids import make_id, parse_id
from basewarden.db import Database, WriteSession
from basewarden.errors import NotFound
from basewarden.settings import Settings

HOURLY_TRIES = Limit(60, 60 * 60)
"""Of a connection's members together."""
_ADVICE = "This connection has sent many messages by hand. Wait some minutes and try again."


class AlertTrial:
    def __init__(
        self, *, database: Database, attempts: Attempts, alerts: Alerts, sender: AlertSender, settings: Settings
    ) -> None:
        self._database = database
        self._attempts = attempts
        self._alerts = alerts
        self._sender = sender
        self._origin = settings.origin

    async def send_test(self, connection: Connection, alert_id: str) -> AlertDelivery:
        """Sends a test message now, also of an alert that is off, and returns it with its result. Raises TooMany."""
        await self._count(connection.id)
        async with self._database.unit_of_work() as unit:
            alert = await self._alerts.get(unit, connection.id, alert_id)
            delivery = await self._insert(unit, connection, alert)
            if alert.channel == AlertChannel.EMAIL:
                await self._sender.send_email(unit, alert, delivery)
        if alert.channel != AlertChannel.EMAIL:
            await self._sender.send_now(alert, delivery)
        return await self._read(alert.id, delivery.id)

    async def send_again(
        self, unit: WriteSession, connection_id: UUID, alert_id: str, delivery_id: str
    ) -> AlertDelivery:
        """Queues a message again, with the same id. One that is queued already is sent once. Raises AlertDisabled."""
        await self._count(connection_id)
        alert = await self._alerts.get(unit, connection_id, alert_id)
        known = parse_id(delivery_id)
        delivery = await queries.find_delivery(unit, alert.id, known) if known else None
        if delivery is None:
            raise NotFound("There is no such message.")
        if alert.disabled_at is not None:
            raise AlertDisabled
        if await queries.requeue_delivery(unit, delivery):
            await self._sender.enqueue(unit, delivery.id)
        return delivery

    async def _count(self, connection_id: UUID) -> None:
        await self._attempts.acquire(Attempt("alert.try", str(connection_id), HOURLY_TRIES, _ADVICE))

    async def _insert(self, unit: WriteSession, connection: Connection, alert: Alert) -> AlertDelivery:
        now = datetime.now(UTC)
        delivery = AlertDelivery(
            id=make_id(),
            alert_id=alert.id,
            event=TEST,
            count=1,
            payload=make_test_payload(connection, self._origin).encode(),
            state=DeliveryState.QUEUED,
            attempts=1,
            attempted_at=now,
            claimed_until=now + CLAIM_TTL,
        )
        await queries.insert_delivery(unit, delivery)
        return delivery

    async def _read(self, alert_id: UUID, delivery_id: UUID) -> AlertDelivery:
        async with self._database.read_only() as session:
            delivery = await queries.find_delivery(session, alert_id, delivery_id)
        if delivery is None:
            raise NotFound("The alert was deleted in the meantime.")
        return delivery
