"""All SQL about schema versions in our own database."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import RowMapping, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from basewarden.connections import Connection
from basewarden.core.ids import make_first_id
from basewarden.db import WriteSession, delete_some, stream_by_id
from basewarden.journal import JournalSession, JournalWrite
from basewarden.sentry.models import ChangeStatus, SchemaHead, SchemaVersion, SentryChange

MOST_VERSIONS: Final = 200
MOST_KEPT_BYTES: Final = 50_000_000
"""Of a connection, compressed."""
_ABORTED: Final = "aborted"
_MOST_CHANGES: Final = 100


async def find_head(session: AsyncSession, connection_id: UUID) -> SchemaHead | None:
    """None before the schema was first read."""
    return await session.get(SchemaHead, connection_id)


async def lock_head(session: WriteSession, connection_id: UUID) -> SchemaHead | None:
    """None where the connection is gone."""
    there = select(Connection.id).where(Connection.id == connection_id)
    await session.execute(insert(SchemaHead).from_select(["connection_id"], there).on_conflict_do_nothing())
    query = select(SchemaHead).where(SchemaHead.connection_id == connection_id).with_for_update()
    return await session.scalar(query, execution_options={"populate_existing": True})


async def update_head(session: WriteSession, connection_id: UUID, values: Mapping[str, Any]) -> None:
    """Counts a reading."""
    query = update(SchemaHead).where(SchemaHead.connection_id == connection_id)
    query = query.values(checks=SchemaHead.checks + 1, **values)
    await session.execute(query, execution_options={"synchronize_session": False})


async def insert_version(session: WriteSession, values: Mapping[str, Any]) -> None:
    await session.execute(insert(SchemaVersion).values(values))


async def find_version(session: AsyncSession, connection_id: UUID, number: int) -> SchemaVersion | None:
    query = select(SchemaVersion).where(SchemaVersion.connection_id == connection_id, SchemaVersion.number == number)
    return await session.scalar(query)


async def find_version_before(session: AsyncSession, connection_id: UUID, number: int) -> SchemaVersion | None:
    """None for the first one that is kept."""
    query = select(SchemaVersion).where(SchemaVersion.connection_id == connection_id, SchemaVersion.number < number)
    return await session.scalar(query.order_by(SchemaVersion.number.desc()).limit(1))


async def list_versions(
    session: AsyncSession, connection_id: UUID, limit: int, before: int | None = None
) -> Sequence[SchemaVersion]:
    """Without their bodies, the newest first."""
    query = select(SchemaVersion).where(SchemaVersion.connection_id == connection_id)
    if before is not None:
        query = query.where(SchemaVersion.number < before)
    query = query.order_by(SchemaVersion.number.desc()).limit(limit)
    return (await session.scalars(query.options(defer(SchemaVersion.body, raiseload=True)))).all()


async def list_versions_by_id(session: AsyncSession, version_ids: Collection[UUID]) -> Sequence[SchemaVersion]:
    """Without their bodies."""
    query = select(SchemaVersion).where(SchemaVersion.id.in_(version_ids))
    return (await session.scalars(query.options(defer(SchemaVersion.body, raiseload=True)))).all()


async def delete_excess(session: WriteSession, connection_id: UUID, newest: int) -> None:
    """The oldest ones, where there are too many or too large ones; the newest stays."""
    total = func.sum(SchemaVersion.size).over(order_by=SchemaVersion.number.desc())
    sizes = select(SchemaVersion.id, total.label("total")).where(SchemaVersion.connection_id == connection_id)
    chosen = sizes.subquery()
    large = select(chosen.c.id).where(chosen.c.total > MOST_KEPT_BYTES)
    query = delete(SchemaVersion).where(
        SchemaVersion.connection_id == connection_id,
        SchemaVersion.number < newest,
        or_(SchemaVersion.number <= newest - MOST_VERSIONS, SchemaVersion.id.in_(large)),
    )
    await session.execute(query, execution_options={"synchronize_session": False})


# Who did it -----------------------------------------------------------------------------------------------


async def list_writing_sessions(
    session: AsyncSession, connection_id: UUID, xids: Collection[int], since: datetime
) -> Mapping[int, JournalSession]:
    """By transaction of the project's database; those that may still be rolled back too."""
    query = (
        select(JournalWrite.xid, JournalSession)
        .join(JournalSession, JournalSession.id == JournalWrite.session_id)
        .where(
            JournalWrite.connection_id == connection_id,
            JournalWrite.id >= make_first_id(since),
            JournalWrite.xid.in_(xids),
            JournalWrite.state != _ABORTED,
        )
    )
    return {row[0]: row[1] for row in await session.execute(query) if row[0] is not None}


async def list_changes_since(session: AsyncSession, head: SchemaHead) -> Sequence[SentryChange]:
    """Fixes and quarantines whose transaction, which applied them or took them back, had not ended at that reading."""
    is_later = or_(SentryChange.xid >= head.next_xid, SentryChange.xid.in_(head.unfinished))
    query = select(SentryChange).where(
        SentryChange.connection_id == head.connection_id, SentryChange.status != ChangeStatus.FAILED, is_later
    )
    return (await session.scalars(query.order_by(SentryChange.xid.desc()).limit(_MOST_CHANGES))).all()


async def has_calls(session: AsyncSession, connection_id: UUID, since: datetime) -> bool:
    """Whether a function that may write was called through us."""
    called = exists().where(
        JournalWrite.connection_id == connection_id,
        JournalWrite.id >= make_first_id(since),
        JournalWrite.verb == "call",
        JournalWrite.state != _ABORTED,
    )
    return bool(await session.scalar(select(called)))


# Export, erasure, pruning ---------------------------------------------------------------------------------


async def stream_heads(
    session: AsyncSession, columns: Sequence[str], owned: Collection[UUID]
) -> AsyncGenerator[RowMapping, None]:
    table = SchemaHead.__table__.c
    query = select(*(table[name] for name in columns)).where(table.connection_id.in_(owned))
    for row in (await session.execute(query.order_by(table.connection_id))).mappings():
        yield row


def stream_versions(
    session: AsyncSession, columns: Sequence[str], person_id: UUID, owned: Collection[UUID]
) -> AsyncGenerator[RowMapping, None]:
    """Streams those of these connections, and those that a person made anywhere."""
    table = SchemaVersion.__table__.c
    query = select(*(table[name] for name in columns))
    return stream_by_id(session, query.where(or_(table.user_id == person_id, table.connection_id.in_(owned))), table.id)


async def anonymise_versions(session: WriteSession, person_id: UUID, name: str) -> int:
    query = update(SchemaVersion).where(SchemaVersion.user_id == person_id).values(user_id=None, actor_name=name)
    return len((await session.scalars(query.returning(SchemaVersion.id))).all())


async def delete_old_versions(session: WriteSession, keep: timedelta, limit: int) -> int:
    """But the newest of each connection, which the next one is compared with."""
    is_newest = exists().where(
        SchemaHead.connection_id == SchemaVersion.connection_id, SchemaHead.number == SchemaVersion.number
    )
    return await delete_some(session, SchemaVersion, (SchemaVersion.at < func.now() - keep) & ~is_newest, limit)
