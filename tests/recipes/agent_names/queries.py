"""All SQL of agent names."""

from uuid import UUID

from sqlalchemy import func, select

from basewarden.connections import Agent
from basewarden.db import ReadSession


async def list_names(session: ReadSession, connection_id: UUID, *, starts_with: str, limit: int) -> list[str]:
    query = select(Agent.name).where(Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
    query = query.where(Agent.name.istartswith(starts_with, autoescape=True))
    return list(await session.scalars(query.order_by(func.lower(Agent.name), Agent.id).limit(limit)))
