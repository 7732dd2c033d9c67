"""All SQL about interventions."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CursorResult, RowMapping, Text, and_, cast, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import WriteSession, stream_by_id
from basewarden.journal.models import JournalIntervention

_PAGE_ROWS = 200
_NEWEST_FIRST = (JournalIntervention.at.desc(), JournalIntervention.id.desc())


async def insert_intervention(session: WriteSession, values: Mapping[str, Any]) -> None:
    xact = cast(cast(func.pg_current_xact_id(), Text), BigInteger)
    await session.execute(insert(JournalIntervention).values(**values, xact=xact))


async def list_interventions(
    session: AsyncSession, connection_id: UUID, *, since: datetime, limit: int
) -> list[JournalIntervention]:
    """Lists what members did, the newest first."""
    query = select(JournalIntervention).where(
        JournalIntervention.connection_id == connection_id,
        JournalIntervention.at >= since,
        JournalIntervention.user_name.is_not(None),
    )
    return list(await session.scalars(query.order_by(*_NEWEST_FIRST).limit(limit)))


async def list_agent_interventions(
    session: AsyncSession, connection_id: UUID, agent_id: UUID, *, limit: int
) -> list[JournalIntervention]:
    """Lists what concerns an agent or its sessions, the newest first."""
    query = select(JournalIntervention).where(
        JournalIntervention.connection_id == connection_id, JournalIntervention.agent_id == agent_id
    )
    return list(await session.scalars(query.order_by(*_NEWEST_FIRST).limit(limit)))


async def list_session_interventions(
    session: AsyncSession, session_id: UUID, *, limit: int
) -> list[JournalIntervention]:
    """Lists what concerns a session, the newest first."""
    query = select(JournalIntervention).where(JournalIntervention.session_id == session_id)
    return list(await session.scalars(query.order_by(*_NEWEST_FIRST).limit(limit)))


async def find_freeze_of_all(session: AsyncSession, connection_id: UUID) -> JournalIntervention | None:
    """Finds the last time that all agents of a connection were frozen."""
    query = select(JournalIntervention).where(
        JournalIntervention.connection_id == connection_id,
        JournalIntervention.action == "freeze",
        JournalIntervention.agent_id.is_(None),
        JournalIntervention.session_id.is_(None),
    )
    return await session.scalar(query.order_by(*_NEWEST_FIRST).limit(1))


async def anonymise_interventions(session: WriteSession, user_id: UUID, name: str) -> int:
    """Replaces a person's name, and removes what they wrote."""
    query = update(JournalIntervention).where(JournalIntervention.user_id == user_id)
    result = await session.execute(query.values(user_name=name, reason=None))
    assert isinstance(result, CursorResult)
    return result.rowcount


def stream_interventions(
    session: AsyncSession, columns: Sequence[str], user_id: UUID, owned: Collection[UUID]
) -> AsyncGenerator[RowMapping, None]:
    """Streams a person's own, and on connections that they own what limits did. `columns` must include `id`."""
    table = JournalIntervention.__table__.c
    is_by_limit = and_(table.connection_id.in_(owned), table.user_name.is_(None))
    query = select(*(table[name] for name in columns)).where(or_(table.user_id == user_id, is_by_limit))
    return stream_by_id(session, query, table.id, page_rows=_PAGE_ROWS)
