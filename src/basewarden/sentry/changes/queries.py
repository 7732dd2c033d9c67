"""All SQL about changes in our own database."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, RowMapping, Text, and_, cast, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.connections import Agent
from basewarden.db import WriteSession, delete_some, stream_by_id
from basewarden.journal import JournalSession, JournalWrite
from basewarden.sentry.models import ChangeKind, ChangeStatus, SentryChange, SentryFinding

_RUNNING = (ChangeStatus.APPLYING, ChangeStatus.UNDOING)
_STANDING = (*_RUNNING, ChangeStatus.APPLIED)
MOST_LISTED = 500
"""Quarantines that a page or an answer has."""


async def insert_change(session: WriteSession, values: Mapping[str, Any]) -> bool:
    """False where another one of the connection is running, or the object is in quarantine already."""
    query = insert(SentryChange).values(values).on_conflict_do_nothing().returning(SentryChange.id)
    return (await session.scalar(query)) is not None


async def begin_undo(session: WriteSession, change_id: UUID, values: Mapping[str, Any]) -> bool:
    """False where it is not applied any more. Raises IntegrityError where another change is running."""
    query = update(SentryChange).where(SentryChange.id == change_id, SentryChange.status == ChangeStatus.APPLIED)
    query = query.values(status=ChangeStatus.UNDOING, **values).returning(SentryChange.id)
    return (await session.scalar(query)) is not None


async def update_change(
    session: WriteSession, change_id: UUID, was: ChangeStatus, values: Mapping[str, Any]
) -> SentryChange | None:
    """None where it is no longer `was`: another process was first."""
    query = update(SentryChange).where(SentryChange.id == change_id, SentryChange.status == was)
    return await session.scalar(query.values(**values).returning(SentryChange))


async def find_change(session: AsyncSession, change_id: UUID) -> SentryChange | None:
    return await session.get(SentryChange, change_id)


async def find_standing(session: AsyncSession, finding_id: UUID, kind: ChangeKind) -> SentryChange | None:
    """The newest of a finding that holds, or is on its way."""
    query = select(SentryChange).where(
        SentryChange.finding_id == finding_id, SentryChange.kind == kind, SentryChange.status.in_(_STANDING)
    )
    return await session.scalar(query.order_by(SentryChange.id.desc()).limit(1))


async def list_running(session: AsyncSession, connection_id: UUID) -> Sequence[SentryChange]:
    """Those whose outcome is not stored yet."""
    query = select(SentryChange).where(SentryChange.connection_id == connection_id, SentryChange.status.in_(_RUNNING))
    return (await session.scalars(query)).all()


async def list_running_connections(session: AsyncSession, older_than: timedelta) -> Sequence[UUID]:
    query = select(SentryChange.connection_id).where(
        SentryChange.status.in_(_RUNNING), SentryChange.started_at < func.now() - older_than
    )
    return (await session.scalars(query.distinct())).all()


async def list_quarantines(
    session: AsyncSession, connection_id: UUID, limit: int | None = MOST_LISTED
) -> Sequence[SentryChange]:
    """Those that hold, the newest first; None for all."""
    query = select(SentryChange).where(
        SentryChange.connection_id == connection_id,
        SentryChange.kind == ChangeKind.QUARANTINE,
        SentryChange.status.in_(_STANDING),
    )
    return (await session.scalars(query.order_by(SentryChange.id.desc()).limit(limit))).all()


async def count_quarantines(session: AsyncSession, connection_id: UUID) -> int:
    query = select(func.count()).where(
        SentryChange.connection_id == connection_id,
        SentryChange.kind == ChangeKind.QUARANTINE,
        SentryChange.status.in_(_STANDING),
    )
    return await session.scalar(query) or 0


async def list_changed_since(session: AsyncSession, connection_id: UUID, scan_started: Any) -> set[UUID]:
    """The findings that something was changed for while a scan was looking: it does not know what it saw."""
    query = select(SentryChange.finding_id).where(
        SentryChange.connection_id == connection_id,
        or_(
            SentryChange.status.in_(_RUNNING),
            SentryChange.applied_at >= scan_started,
            SentryChange.undone_at >= scan_started,
        ),
    )
    return set(await session.scalars(query))


async def end_quarantines(session: WriteSession, change_ids: Collection[UUID]) -> Sequence[UUID]:
    """Of those that still hold; returns their findings."""
    query = update(SentryChange).where(SentryChange.id.in_(change_ids), SentryChange.status == ChangeStatus.APPLIED)
    values = {"status": ChangeStatus.ENDED, "undone_at": func.now()}
    return (await session.scalars(query.values(values).returning(SentryChange.finding_id))).all()


# What agents do -------------------------------------------------------------------------------------------


async def list_agents_as(
    session: AsyncSession, connection_id: UUID, roles: Collection[str], *, is_default: bool
) -> Sequence[str]:
    """The names of agents whose requests run as one of the roles; `is_default`: those without a role of their own."""
    is_one = Agent.db_role.in_(roles)
    query = select(Agent.name).where(
        Agent.connection_id == connection_id,
        Agent.revoked_at.is_(None),
        or_(is_one, Agent.db_role.is_(None)) if is_default else is_one,
    )
    return (await session.scalars(query.order_by(Agent.name).limit(20))).all()


async def count_writes_as(
    session: AsyncSession,
    connection_id: UUID,
    roles: Collection[str],
    tables: Collection[str],
    *,
    is_default: bool,
) -> Mapping[str, int]:
    """By agent, how many writes the last day had that changed one of the tables, given as `schema.table`."""
    is_one = Agent.db_role.in_(roles)
    query = (
        select(Agent.name, func.count())
        .select_from(JournalWrite)
        .join(JournalSession, JournalSession.id == JournalWrite.session_id)
        .join(Agent, Agent.id == JournalSession.agent_id)
        .where(
            JournalWrite.connection_id == connection_id,
            JournalWrite.at > func.now() - timedelta(days=1),
            JournalWrite.tables.bool_op("&&")(cast(list(tables), ARRAY(Text))),
            or_(is_one, Agent.db_role.is_(None)) if is_default else is_one,
        )
        .group_by(Agent.name)
        .order_by(Agent.name)
        .limit(20)
    )
    return {row[0]: row[1] for row in await session.execute(query)}


# Export, erasure, pruning ---------------------------------------------------------------------------------


def stream_changes(
    session: AsyncSession, columns: Sequence[str], person_id: UUID, owned: Collection[UUID]
) -> AsyncGenerator[RowMapping, None]:
    """Streams those of these connections, and those that a person made or took back anywhere."""
    table = SentryChange.__table__.c
    query = select(*(table[name] for name in columns))
    is_theirs = or_(table.actor_id == person_id, table.undone_by == person_id)
    return stream_by_id(session, query.where(or_(is_theirs, table.connection_id.in_(owned))), table.id)


async def anonymise_changes(session: WriteSession, person_id: UUID, name: str) -> int:
    made = update(SentryChange).where(SentryChange.actor_id == person_id).values(actor_id=None, actor_name=name)
    undone = update(SentryChange).where(SentryChange.undone_by == person_id)
    undone = undone.values(undone_by=None, undone_by_name=name)
    found = [*(await session.scalars(made.returning(SentryChange.id)))]
    return len({*found, *(await session.scalars(undone.returning(SentryChange.id)))})


async def delete_old_changes(session: WriteSession, keep: timedelta, limit: int) -> int:
    """Those that are over, and fixes that were applied long ago: their finding's history stays."""
    is_over = SentryChange.status.in_((ChangeStatus.UNDONE, ChangeStatus.FAILED, ChangeStatus.ENDED))
    is_old_fix = and_(SentryChange.kind == ChangeKind.FIX, SentryChange.status == ChangeStatus.APPLIED)
    is_old = and_(SentryChange.started_at < func.now() - keep, or_(is_over, is_old_fix))
    return await delete_some(session, SentryChange, is_old, limit)


async def find_findings(session: AsyncSession, finding_ids: Collection[UUID]) -> Mapping[UUID, SentryFinding]:
    found = await session.scalars(select(SentryFinding).where(SentryFinding.id.in_(finding_ids)))
    return {one.id: one for one in found}
