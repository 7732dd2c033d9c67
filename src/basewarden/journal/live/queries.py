"""All SQL of live events. Each query reads a bounded part of an index, however large the journal is."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Subquery, and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from basewarden.journal.live.positions import JournalSnapshot
from basewarden.journal.models import JournalIntervention, JournalRefusal, JournalSession, JournalWrite

_SNAPSHOT = "SELECT CAST(extract(epoch FROM now()) AS bigint), CAST(pg_current_snapshot() AS text)"
MARGIN_SECONDS = 3600
"""A database that was restored has transaction ids of another server; times keep those of long ago out."""

XactColumn = InstrumentedAttribute[int | None]


async def get_snapshot(session: AsyncSession) -> JournalSnapshot:
    """Returns the snapshot of this transaction, which must be REPEATABLE READ."""
    at, shown = (await session.execute(text(_SNAPSHOT))).one()
    return JournalSnapshot.from_postgres(at, shown)


async def session_exists(session: AsyncSession, connection_id: UUID, session_id: UUID) -> bool:
    query = select(JournalSession.id).where(
        JournalSession.id == session_id,
        JournalSession.connection_id == connection_id,
        JournalSession.status != "expired",
    )
    return await session.scalar(query) is not None


async def sum_settled_writes(
    session: AsyncSession, connection_id: UUID, since: JournalSnapshot, until: JournalSnapshot, *, limit: int
) -> Sequence[Row[Any]]:
    """Sums up the writes that became visible after `since`, by session, table and verb.

    Reads at most `limit` writes; `seen` is how many those were, including aborted ones.
    """
    is_new = became_visible(JournalWrite.settled_xact, since, until)
    order = JournalWrite.settled_xact.asc()
    writes = _list_writes(connection_id, is_new, order, limit)
    return await _sum_writes(session, writes, since.at - MARGIN_SECONDS)


async def sum_latest_writes(
    session: AsyncSession, connection_id: UUID, until: JournalSnapshot, *, seconds: int, limit: int
) -> Sequence[Row[Any]]:
    """Sums up the writes of the last seconds, among the last `limit` writes."""
    is_settled = and_(JournalWrite.settled_xact.is_not(None), _is_visible(JournalWrite.settled_xact, until))
    writes = _list_writes(connection_id, is_settled, JournalWrite.settled_xact.desc(), limit)
    return await _sum_writes(session, writes, until.at - seconds)


async def list_changed_sessions(
    session: AsyncSession, connection_id: UUID, since: JournalSnapshot, until: JournalSnapshot, *, limit: int
) -> Sequence[JournalSession]:
    """Lists sessions whose state changed after `since`."""
    query = (
        select(JournalSession)
        .where(JournalSession.connection_id == connection_id, JournalSession.status != "expired")
        .where(became_visible(JournalSession.state_xact, since, until))
        .order_by(JournalSession.state_xact)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def list_sessions_by_id(session: AsyncSession, ids: Collection[UUID]) -> Sequence[JournalSession]:
    query = select(JournalSession).where(JournalSession.id.in_(ids), JournalSession.status != "expired")
    return (await session.scalars(query)).all()


async def list_new_refusals(
    session: AsyncSession, connection_id: UUID, since: JournalSnapshot, until: JournalSnapshot, *, limit: int
) -> Sequence[JournalRefusal]:
    """Lists refusals that were added or counted again after `since`."""
    query = (
        select(JournalRefusal)
        .where(JournalRefusal.connection_id == connection_id)
        .where(JournalRefusal.at > func.to_timestamp(since.at - MARGIN_SECONDS))
        .where(became_visible(JournalRefusal.xact, since, until))
        .order_by(JournalRefusal.at, JournalRefusal.id)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def list_new_interventions(
    session: AsyncSession, connection_id: UUID, since: JournalSnapshot, until: JournalSnapshot, *, limit: int
) -> Sequence[JournalIntervention]:
    """Lists what stopped or released something after `since`."""
    query = (
        select(JournalIntervention)
        .where(JournalIntervention.connection_id == connection_id)
        .where(JournalIntervention.at > func.to_timestamp(since.at - MARGIN_SECONDS))
        .where(became_visible(JournalIntervention.xact, since, until))
        .order_by(JournalIntervention.at, JournalIntervention.id)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


def became_visible(xact: XactColumn, since: JournalSnapshot, until: JournalSnapshot) -> ColumnElement[bool]:
    """Whether the transaction ended after `since` and is visible in `until`."""
    was_running = xact.in_(since.running) if since.running else None
    is_new = xact >= since.xmax if was_running is None else or_(xact >= since.xmax, was_running)
    return and_(xact >= since.floor, is_new, _is_visible(xact, until))


def _is_visible(xact: XactColumn, snapshot: JournalSnapshot) -> ColumnElement[bool]:
    is_past = xact < snapshot.xmax
    return and_(is_past, xact.not_in(snapshot.running)) if snapshot.running else is_past


def _list_writes(
    connection_id: UUID, condition: ColumnElement[bool], order: ColumnElement[Any], limit: int
) -> Subquery:
    query = select(JournalWrite).where(JournalWrite.connection_id == connection_id, condition)
    return query.order_by(order).limit(limit).subquery()


async def _sum_writes(session: AsyncSession, writes: Subquery, after: int) -> Sequence[Row[Any]]:
    """Sums up those that were settled after a time in seconds, and counts all."""
    write = writes.c
    counts = and_(write.state != "aborted", write.settled_at > func.to_timestamp(after))
    groups = (write.session_id, write.schema_name, write.table_name, write.verb)
    query = (
        select(
            *groups,
            func.count().label("seen"),
            func.count().filter(counts).label("writes"),
            func.count().filter(counts, write.state == "unknown").label("unknown"),
            func.coalesce(func.sum(write.mutation_count).filter(counts), 0).label("rows"),
            func.max(write.settled_at).label("at"),
        )
        .group_by(*groups)
        .order_by(*groups)
    )
    return (await session.execute(query)).all()
