"""All SQL about automatic scans. One row a connection needs no index."""

from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, case, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.connections import Connection
from basewarden.db import WriteSession
from basewarden.sentry.models import ScanCause, ScanSchedule, ScanStatus, SentryScan, SentryWatch

_FIRST: Final = text("now() + interval '1 hour' * (0.5 + random())")
"""When a connection is scanned for the first time: not all at once after an update."""
_INTERVALS: Final = {ScanSchedule.HOURLY: timedelta(hours=1), ScanSchedule.DAILY: timedelta(days=1)}
RETRY: Final = timedelta(minutes=15)
"""The first next try of a scan that failed."""
_SETTLE: Final = timedelta(seconds=2)
"""A migration changes a schema many times; what follows so soon is seen by the same scan."""
_DUE_AT = func.least(SentryWatch.next_at, SentryWatch.change_at)
_IS_ON = SentryWatch.schedule != ScanSchedule.OFF


async def find_watch(session: AsyncSession, connection_id: UUID, *, for_update: bool = False) -> SentryWatch | None:
    """None for a connection that was added a moment ago, and for one without a connection string."""
    query = select(SentryWatch).where(SentryWatch.connection_id == connection_id)
    query = query.with_for_update() if for_update else query
    return await session.scalar(query, execution_options={"populate_existing": True})


async def insert_missing_watches(session: WriteSession, connection_id: UUID | None = None) -> None:
    """For all connections with a connection string that have none, or for this one."""
    has_one = exists().where(SentryWatch.connection_id == Connection.id)
    missing = select(Connection.id, _FIRST).where(Connection.sealed_postgres_url.is_not(None), ~has_one)
    if connection_id is not None:
        missing = missing.where(Connection.id == connection_id)
    query = insert_or(SentryWatch).from_select(["connection_id", "next_at"], missing)
    await session.execute(query.on_conflict_do_nothing())


async def lock_due_watches(session: WriteSession, limit: int) -> Sequence[SentryWatch]:
    """Those that are due and whose connection no scan runs of, the first due first; others' are skipped."""
    is_running = exists().where(
        SentryScan.connection_id == SentryWatch.connection_id, SentryScan.status == ScanStatus.RUNNING
    )
    query = (
        select(SentryWatch)
        .join(Connection, Connection.id == SentryWatch.connection_id)
        .where(_IS_ON, func.now() >= _DUE_AT, Connection.sealed_postgres_url.is_not(None), ~is_running)
        .order_by(_DUE_AT)
        .limit(limit)
        .with_for_update(of=SentryWatch, skip_locked=True)
    )
    return (await session.scalars(query, execution_options={"populate_existing": True})).all()


async def count_running(session: AsyncSession) -> int:
    """Automatic scans."""
    query = select(func.count()).where(SentryScan.status == ScanStatus.RUNNING, SentryScan.cause != ScanCause.REQUEST)
    return await session.scalar(query) or 0


async def note_attempt(
    session: WriteSession, watch: SentryWatch, next_in: timedelta, quiet_for: timedelta | None
) -> None:
    """A scan starts, which sees what has changed until now."""
    values: dict[str, Any] = {"attempts": SentryWatch.attempts + 1, "change_at": None, "next_at": func.now() + next_in}
    if quiet_for is not None:
        values["quiet_until"] = func.now() + quiet_for
    await update_watch(session, watch.connection_id, values)


async def note_looking(session: WriteSession, connection_id: UUID, catalog: str, *, is_asked: bool) -> None:
    """A scan of all that is exposed begins, and this is the version that it sees.

    One that was asked for counts as an attempt, too: should it fail, no other scan has seen what has changed.
    """
    await insert_missing_watches(session, connection_id)
    values: dict[str, Any] = {"catalog": catalog, "change_at": None}
    if is_asked:
        retry_at = case((SentryWatch.next_at.is_not(None), func.least(SentryWatch.next_at, func.now() + RETRY)))
        values |= {"attempts": func.greatest(SentryWatch.attempts, 1), "next_at": retry_at}
    await update_watch(session, connection_id, values)


async def note_ended(session: WriteSession, connection_id: UUID) -> None:
    """Such a scan has ended well."""
    next_at = case({one: func.now() + interval for one, interval in _INTERVALS.items()}, value=SentryWatch.schedule)
    await update_watch(session, connection_id, {"attempts": 0, "next_at": next_at})


async def update_watch(session: WriteSession, connection_id: UUID, values: dict[str, Any]) -> None:
    query = update(SentryWatch).where(SentryWatch.connection_id == connection_id).values(values)
    await session.execute(query, execution_options={"synchronize_session": False})


async def note_change(session: WriteSession, connection_id: UUID, catalog: str | None = None) -> timedelta | None:
    """How soon a scan is due, because the schema is not as the last one saw it; None where none is, or one was already.

    `catalog` is its version as it is now; None: known to be another one. While scans fail, the next attempt is soon
    enough.
    """
    retry_at = text("CASE WHEN attempts > 0 THEN next_at END")
    due_at = func.greatest(func.now() + _SETTLE, SentryWatch.quiet_until, retry_at)
    query = (
        update(SentryWatch)
        .where(SentryWatch.connection_id == connection_id, _IS_ON)
        .where(SentryWatch.catalog.is_distinct_from(catalog), SentryWatch.catalog.is_not(None))
        .where(SentryWatch.change_at.is_(None))
        .values(change_at=due_at)
        .returning(SentryWatch.change_at - func.now())
    )
    found: timedelta | None = await session.scalar(query, execution_options={"synchronize_session": False})
    return found


async def stream_watches(
    session: AsyncSession, columns: Sequence[str], owned: Collection[UUID]
) -> AsyncGenerator[RowMapping, None]:
    """Streams those of these connections."""
    table = SentryWatch.__table__.c
    query = select(*(table[name] for name in columns)).where(table.connection_id.in_(owned))
    for row in (await session.execute(query.order_by(table.connection_id))).mappings():
        yield row
