"""Turns waiting events into messages: soon after a trigger has added them, and by the minute for those that wait.

Each process that hears of new events tries; the lock of the alert decides which one makes the message.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from basewarden.alerts import queries
from basewarden.alerts.digest import RecentMessages, is_due
from basewarden.alerts.events import AlertEventName
from basewarden.alerts.models import Alert, AlertDelivery, AlertState, DeliveryState, WaitingEvent
from basewarden.alerts.payloads import MAX_ITEMS, make_payload
from basewarden.alerts.sending import AlertSender
from basewarden.alerts.subjects import read_subjects
from basewarden.connections import Connection
from basewarden.core.ids import make_id
from basewarden.core.tasks import end_task
from basewarden.db import Database, Listener, WriteSession
from basewarden.errors import AppError
from basewarden.jobs import Jobs
from basewarden.settings import Settings

ALERT_TOPIC = "alerts"
"""Waiting events of a connection; the payload is its id. Triggers announce it too."""
COLLECT = "alerts.collect"
MIN_INTERVAL_SECONDS = 0.5
"""Between two looks at the events; the first announcement after a pause is followed at once."""
_log = structlog.get_logger()


class AlertCollector:
    def __init__(
        self, *, database: Database, listener: Listener, jobs: Jobs, sender: AlertSender, settings: Settings
    ) -> None:
        self._database = database
        self._sender = sender
        self._origin = settings.origin
        self._announced: set[UUID] = set()
        self._must_sweep = False
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        listener.on(ALERT_TOPIC, self._on_notice)
        jobs.register_periodic(COLLECT, "* * * * *", self.sweep)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="alerts-collector")

    async def stop(self) -> None:
        """What is left is collected by another process, or at the next start."""
        if self._task is not None:
            await end_task(self._task)

    async def sweep(self) -> None:
        """Collects all events that are due."""
        async with self._database.read_only() as session:
            waiting = await queries.list_waiting_connections(session)
        for connection_id in waiting:
            await self.collect(connection_id)

    async def collect(self, connection_id: UUID) -> None:
        """Makes the messages of a connection that are due."""
        async with self._database.unit_of_work() as unit:
            alerts = await queries.lock_waiting_alerts(unit, connection_id)
            connection = await queries.find_connection(unit, connection_id) if alerts else None
            if connection is not None:
                for alert in alerts:
                    await self._collect_alert(unit, connection, alert)

    async def _collect_alert(self, unit: WriteSession, connection: Connection, alert: Alert) -> None:
        is_failing = alert.state is AlertState.FAILING
        for name in await queries.list_waiting_names(unit, alert.id):
            recent = await _read_recent(unit, alert.id, name)
            waiting = await queries.take_events(unit, alert.id, name) if is_due(recent, is_failing=is_failing) else []
            if waiting:
                await self._make_message(unit, connection, alert, name, waiting)

    async def _make_message(
        self,
        unit: WriteSession,
        connection: Connection,
        alert: Alert,
        event: AlertEventName,
        waiting: Sequence[WaitingEvent],
    ) -> None:
        subjects = await read_subjects(unit, event, waiting[:MAX_ITEMS])
        payload = make_payload(event, connection, waiting, subjects, self._origin)
        delivery = AlertDelivery(
            id=make_id(),
            alert_id=alert.id,
            event=event,
            count=payload.data.count,
            payload=payload.encode(),
            state=DeliveryState.QUEUED,
        )
        await queries.insert_delivery(unit, delivery)
        await self._sender.enqueue(unit, delivery.id)

    def _on_notice(self, payload: str) -> None:
        if payload:
            self._announced.add(UUID(payload))
        else:
            self._must_sweep = True  # announcements may have been missed
        self._woken.set()

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            announced, self._announced = self._announced, set()
            must_sweep, self._must_sweep = self._must_sweep, False
            try:
                await (self.sweep() if must_sweep else self._collect_all(announced))
            except (AppError, SQLAlchemyError, OSError) as error:
                _log.warning("alerts.not_collected", reason=type(error).__name__)  # the next sweep does it
            await asyncio.sleep(MIN_INTERVAL_SECONDS)

    async def _collect_all(self, announced: set[UUID]) -> None:
        for connection_id in announced:
            await self.collect(connection_id)


async def _read_recent(unit: WriteSession, alert_id: UUID, name: str) -> RecentMessages:
    rows = await queries.list_recent_messages(unit, alert_id)
    ages = {event: now - last for event, last, _, now in rows}
    return RecentMessages(ages.get(name), sum(in_hour for _, _, in_hour, _ in rows))
