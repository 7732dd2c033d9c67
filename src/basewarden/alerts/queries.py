"""All SQL of alerts. Locks on alerts never conflict with those of the triggers that add events (migration 0019)."""

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, RowMapping, and_, case, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.alerts.events import TEST, AlertEventName
from basewarden.alerts.models import Alert, AlertDelivery, DeliveryState, DisabledReason, WaitingEvent
from basewarden.connections import Connection
from basewarden.db import ReadSession, WriteSession, delete_some, stream_by_id
from basewarden.journal import JournalRefusal, JournalSession

_AS_STORED = {"synchronize_session": False}
_PAGE = 200


@dataclass(frozen=True, slots=True)
class PersonConnections:
    """The connections that a person owns, and all that they are a member of."""

    person_id: UUID
    owned: Sequence[UUID]
    member_of: Sequence[UUID]


async def lock_connection(session: WriteSession, connection_id: UUID) -> None:
    """Lets the changes of one connection's alerts happen one after another."""
    query = select(Connection.id).where(Connection.id == connection_id)
    await session.execute(query.with_for_update(key_share=True))


async def list_alerts(session: AsyncSession, connection_id: UUID) -> Sequence[Alert]:
    """Lists the newest first."""
    return (
        await session.scalars(select(Alert).where(Alert.connection_id == connection_id).order_by(Alert.id.desc()))
    ).all()


async def find_alert(session: AsyncSession, connection_id: UUID, alert_id: UUID) -> Alert | None:
    return await session.scalar(select(Alert).where(Alert.id == alert_id, Alert.connection_id == connection_id))


async def lock_alert(session: WriteSession, alert_id: UUID) -> Alert | None:
    query = select(Alert).where(Alert.id == alert_id).with_for_update(key_share=True)
    return await session.scalar(query.execution_options(populate_existing=True))


async def insert_alert(session: WriteSession, alert: Alert) -> None:
    session.add(alert)
    await session.flush()


async def delete_alert(session: WriteSession, connection_id: UUID, alert_id: UUID) -> Alert | None:
    """Deletes an alert with its events and deliveries; None if this connection has no such alert."""
    query = delete(Alert).where(Alert.id == alert_id, Alert.connection_id == connection_id).returning(Alert)
    return await session.scalar(query, execution_options=_AS_STORED)


async def delete_alerts_of_person(session: WriteSession, user_id: UUID) -> int:
    """Deletes the alerts that are sent to this person."""
    query = delete(Alert).where(Alert.user_id == user_id).returning(Alert.id)
    return len((await session.execute(query, execution_options=_AS_STORED)).all())


async def disable_alert(session: WriteSession, alert: Alert, reason: DisabledReason) -> None:
    """Turns a locked alert off, and forgets the events that wait for it."""
    alert.disabled_at, alert.disabled_reason = datetime.now(UTC), reason
    await session.execute(delete(WaitingEvent).where(WaitingEvent.alert_id == alert.id), execution_options=_AS_STORED)


async def list_waiting_connections(session: AsyncSession) -> list[UUID]:
    """Lists the connections that have events without a message."""
    query = select(Alert.connection_id).join(WaitingEvent, WaitingEvent.alert_id == Alert.id).distinct()
    return list(await session.scalars(query.order_by(Alert.connection_id)))


async def lock_waiting_alerts(session: WriteSession, connection_id: UUID) -> Sequence[Alert]:
    """Locks and lists the alerts that have events without a message, in the order of their ids."""
    has_events = select(WaitingEvent.id).where(WaitingEvent.alert_id == Alert.id).exists()
    query = select(Alert).where(Alert.connection_id == connection_id, Alert.disabled_at.is_(None), has_events)
    return (await session.scalars(query.order_by(Alert.id).with_for_update(key_share=True))).all()


async def list_recent_messages(session: AsyncSession, alert_id: UUID) -> Sequence[Row[str, datetime, int, datetime]]:
    """Lists by event the time of the last message, the number of messages in the last hour, and the time now."""
    in_hour = AlertDelivery.created_at > func.now() - timedelta(hours=1)
    query = (
        select(
            AlertDelivery.event,
            func.max(AlertDelivery.created_at),
            func.count().filter(in_hour),
            func.now(),
        )
        .where(AlertDelivery.alert_id == alert_id, AlertDelivery.event != TEST)
        .where(AlertDelivery.created_at > func.now() - timedelta(hours=2))
        .group_by(AlertDelivery.event)
    )
    return (await session.execute(query)).all()


async def list_waiting_names(session: AsyncSession, alert_id: UUID) -> list[AlertEventName]:
    """While a release rolls out, an event that only the newer processes know waits for one of them."""
    known = WaitingEvent.event.in_([*AlertEventName])
    query = select(WaitingEvent.event).where(WaitingEvent.alert_id == alert_id, known).distinct()
    return sorted(map(AlertEventName, await session.scalars(query)))


async def take_events(session: WriteSession, alert_id: UUID, event: str) -> list[WaitingEvent]:
    """Deletes and returns the waiting events of one kind, the oldest first.

    Those that a transaction is adding to are left for the next message, so that this waits for no lock.
    """
    chosen = select(WaitingEvent.id).where(WaitingEvent.alert_id == alert_id, WaitingEvent.event == event)
    taken = delete(WaitingEvent).where(WaitingEvent.id.in_(chosen.with_for_update(skip_locked=True)))
    found = await session.scalars(taken.returning(WaitingEvent), execution_options=_AS_STORED)
    return sorted(found, key=lambda one: (one.at, one.id))


async def find_connection(session: AsyncSession, connection_id: UUID) -> Connection | None:
    return await session.get(Connection, connection_id)


async def list_sessions_by_id(session: AsyncSession, ids: Collection[UUID]) -> Sequence[JournalSession]:
    query = select(JournalSession).where(JournalSession.id.in_(ids), JournalSession.status != "expired")
    return (await session.scalars(query)).all()


async def list_refusals_by_id(session: AsyncSession, ids: Collection[UUID]) -> Sequence[JournalRefusal]:
    return (await session.scalars(select(JournalRefusal).where(JournalRefusal.id.in_(ids)))).all()


async def insert_delivery(session: WriteSession, delivery: AlertDelivery) -> None:
    session.add(delivery)
    await session.flush()


async def find_delivery(session: AsyncSession, alert_id: UUID, delivery_id: UUID) -> AlertDelivery | None:
    query = select(AlertDelivery).where(AlertDelivery.id == delivery_id, AlertDelivery.alert_id == alert_id)
    return await session.scalar(query)


async def list_deliveries(
    session: ReadSession, alert_id: UUID, *, before: AlertDelivery | None, limit: int
) -> Sequence[AlertDelivery]:
    """Lists the newest first; `before` is the last one on the page before."""
    query = select(AlertDelivery).where(AlertDelivery.alert_id == alert_id)
    if before is not None:
        is_older = AlertDelivery.created_at < before.created_at
        is_same = and_(AlertDelivery.created_at == before.created_at, AlertDelivery.id < before.id)
        query = query.where(or_(is_older, is_same))
    order = (AlertDelivery.created_at.desc(), AlertDelivery.id.desc())
    return (await session.scalars(query.order_by(*order).limit(limit))).all()


async def requeue_delivery(session: WriteSession, delivery: AlertDelivery) -> bool:
    """Queues a message again that was delivered or has failed, and reads it again; False while it is queued."""
    query = (
        update(AlertDelivery)
        .where(AlertDelivery.id == delivery.id, AlertDelivery.state != DeliveryState.QUEUED)
        .values(state=DeliveryState.QUEUED, attempts=0)
        .returning(AlertDelivery.id)
    )
    is_queued_now = await session.scalar(query, execution_options=_AS_STORED) is not None
    await session.refresh(delivery)
    return is_queued_now


async def claim_delivery(session: WriteSession, delivery_id: UUID, ttl: timedelta) -> AlertDelivery | None:
    """Claims a queued message for the caller until `ttl` has passed, and counts the attempt."""
    query = (
        update(AlertDelivery)
        .where(AlertDelivery.id == delivery_id, AlertDelivery.state == DeliveryState.QUEUED, _is_free())
        .values(
            claimed_until=func.clock_timestamp() + ttl,
            attempts=AlertDelivery.attempts + 1,
            attempted_at=func.clock_timestamp(),
        )
        .returning(AlertDelivery)
    )
    return await session.scalar(query, execution_options=_AS_STORED)


async def is_queued(session: AsyncSession, delivery_id: UUID) -> bool:
    query = select(AlertDelivery.id).where(AlertDelivery.id == delivery_id)
    return await session.scalar(query.where(AlertDelivery.state == DeliveryState.QUEUED)) is not None


async def note_result(
    session: WriteSession,
    delivery: AlertDelivery,
    *,
    state: DeliveryState,
    status: int | None = None,
    answer: str | None = None,
    error: str | None = None,
) -> bool:
    """Stores the result and ends the claim; False if another process has claimed the message meanwhile."""
    values: dict[str, Any] = {"state": state, "status": status, "answer": answer, "error": error, "claimed_until": None}
    query = update(AlertDelivery).where(*_is_claim(delivery)).values(**values).returning(AlertDelivery.id)
    return await session.scalar(query, execution_options=_AS_STORED) is not None


async def release_delivery(session: WriteSession, delivery: AlertDelivery) -> None:
    """Releases the claim, and uncounts its attempt."""
    values = {"claimed_until": None, "attempts": AlertDelivery.attempts - 1}
    query = update(AlertDelivery).where(*_is_claim(delivery)).values(**values)
    await session.execute(query, execution_options=_AS_STORED)


async def fail_lost_deliveries(session: WriteSession, older_than: timedelta, error: str) -> int:
    """Ends messages that are queued for so long that their job must have been lost."""
    is_lost = and_(AlertDelivery.state == DeliveryState.QUEUED, AlertDelivery.attempted_at < func.now() - older_than)
    never_tried = and_(
        AlertDelivery.state == DeliveryState.QUEUED,
        AlertDelivery.attempted_at.is_(None),
        AlertDelivery.created_at < func.now() - older_than,
    )
    query = update(AlertDelivery).where(or_(is_lost, never_tried), _is_free())
    values = {"state": DeliveryState.FAILED, "error": error}
    result = await session.execute(query.values(**values).returning(AlertDelivery.id), execution_options=_AS_STORED)
    return len(result.all())


async def delete_old_deliveries(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, AlertDelivery, AlertDelivery.created_at < func.now() - keep, limit)


async def count_alerts(session: AsyncSession) -> tuple[int, int]:
    """Counts the alerts that fail now, and those that were turned off because of failures."""
    is_failing = case((and_(Alert.disabled_at.is_(None), Alert.failing_since.is_not(None)), 1))
    query = select(func.count(is_failing), func.count(Alert.disabled_at))
    row = (await session.execute(query)).one()
    return row[0], row[1]


async def stream_alerts(
    session: AsyncSession, columns: Sequence[str], whose: PersonConnections
) -> AsyncGenerator[RowMapping, None]:
    """Streams the alerts of connections that a person owns, and those of their other ones that they created or get."""
    table = Alert.__table__.c
    query = select(*(table[name] for name in columns)).where(_is_of_person(whose)).order_by(table.id)
    for row in (await session.execute(query)).mappings():
        yield row


def stream_deliveries(
    session: AsyncSession, columns: Sequence[str], whose: PersonConnections
) -> AsyncGenerator[RowMapping, None]:
    """Streams the messages of those alerts in pages, ordered by id. `columns` must include `id`."""
    table = AlertDelivery.__table__.c
    query = select(*(table[name] for name in columns)).where(
        table.alert_id.in_(select(Alert.id).where(_is_of_person(whose)))
    )
    return stream_by_id(session, query, table.id, page_rows=_PAGE)


def _is_of_person(whose: PersonConnections) -> ColumnElement[bool]:
    is_own = or_(Alert.created_by == whose.person_id, Alert.user_id == whose.person_id)
    return or_(Alert.connection_id.in_(whose.owned), and_(is_own, Alert.connection_id.in_(whose.member_of)))


def _is_free() -> ColumnElement[bool]:
    return or_(AlertDelivery.claimed_until.is_(None), AlertDelivery.claimed_until < func.clock_timestamp())


def _is_claim(delivery: AlertDelivery) -> tuple[ColumnElement[bool], ...]:
    """Whether the row still has the claim under which this delivery was read."""
    return (
        AlertDelivery.id == delivery.id,
        AlertDelivery.state == DeliveryState.QUEUED,
        AlertDelivery.attempts == delivery.attempts,
    )
