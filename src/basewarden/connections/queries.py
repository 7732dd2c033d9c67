"""All SQL of connections, on our own database."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.connections.models import Agent, Connection, ConnectionMember
from basewarden.db import ReadSession, WriteSession


async def insert_connection(session: WriteSession, connection: Connection, member: ConnectionMember) -> None:
    session.add(connection)
    await session.flush()
    session.add(member)
    await session.flush()


async def list_connections(
    session: ReadSession, user_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[Row[Connection, str]]:
    """A person's connections with their role there, the newest first."""
    query = (
        select(Connection, ConnectionMember.role)
        .join(ConnectionMember, ConnectionMember.connection_id == Connection.id)
        .where(ConnectionMember.user_id == user_id)
        .order_by(Connection.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Connection.id < before)
    return (await session.execute(query)).all()


async def find_membership(session: ReadSession, connection_id: UUID, user_id: UUID) -> Row[Connection, str] | None:
    query = (
        select(Connection, ConnectionMember.role)
        .join(ConnectionMember, ConnectionMember.connection_id == Connection.id)
        .where(Connection.id == connection_id, ConnectionMember.user_id == user_id)
    )
    return (await session.execute(query)).one_or_none()


async def find_connection(session: ReadSession, connection_id: UUID) -> Connection | None:
    return await session.get(Connection, connection_id)


async def find_member_role(session: ReadSession, connection_id: UUID, user_id: UUID) -> str | None:
    return await session.scalar(
        select(ConnectionMember.role).where(
            ConnectionMember.connection_id == connection_id, ConnectionMember.user_id == user_id
        )
    )


async def update_connection(session: WriteSession, connection_id: UUID, values: dict[str, Any]) -> Connection | None:
    query = update(Connection).where(Connection.id == connection_id).values(**values).returning(Connection)
    return await session.scalar(query)


async def delete_connection(session: WriteSession, connection_id: UUID) -> None:
    await session.execute(delete(Connection).where(Connection.id == connection_id))


async def insert_agent(session: WriteSession, agent: Agent) -> None:
    session.add(agent)
    await session.flush()


async def list_agents(session: ReadSession, connection_id: UUID, *, before: UUID | None, limit: int) -> Sequence[Agent]:
    """Those that are not revoked, the newest first."""
    query = (
        select(Agent)
        .where(Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
        .order_by(Agent.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Agent.id < before)
    return (await session.scalars(query)).all()


async def count_agents(session: ReadSession, connection_id: UUID) -> int:
    query = select(func.count()).where(Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
    return await session.scalar(query) or 0


async def find_agent(session: ReadSession, connection_id: UUID, agent_id: UUID) -> Agent | None:
    return await session.scalar(
        select(Agent).where(Agent.id == agent_id, Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
    )


async def revoke_agent(session: WriteSession, connection_id: UUID, agent_id: UUID) -> Agent | None:
    """None where this connection has no such agent, or it is revoked already."""
    query = (
        update(Agent)
        .where(Agent.id == agent_id, Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(Agent)
    )
    return await session.scalar(query)


async def find_agent_by_hash(session: AsyncSession, token_hash: bytes) -> Agent | None:
    return await session.scalar(select(Agent).where(Agent.token_hash == token_hash, Agent.revoked_at.is_(None)))


async def touch_agent(session: WriteSession, agent_id: UUID) -> None:
    await session.execute(update(Agent).where(Agent.id == agent_id).values(last_used_at=func.now()))
