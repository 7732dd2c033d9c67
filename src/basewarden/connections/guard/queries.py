"""All SQL about what agents have read."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.connections.guard.values import ReadColumn
from basewarden.connections.models import AgentRead
from basewarden.db import WriteSession

# In one order, so that two requests of an agent never wait for each other; nothing for an agent that is no more.
_ADD = """
    INSERT INTO agent_reads (agent_id, table_name, column_name)
    SELECT a.id, r.table_name, r.column_name
    FROM agents AS a, unnest(CAST(:tables AS text[]), CAST(:columns AS text[])) AS r (table_name, column_name)
    WHERE a.id = :agent ORDER BY 2, 3
    ON CONFLICT DO NOTHING RETURNING table_name, column_name
"""


async def insert_reads(session: WriteSession, agent_id: UUID, columns: Collection[ReadColumn]) -> frozenset[ReadColumn]:
    """Returns those that the agent had not read before."""
    values = {"agent": agent_id, "tables": [table for table, _ in columns], "columns": [name for _, name in columns]}
    return frozenset((row.table_name, row.column_name) for row in await session.execute(text(_ADD), values))


async def list_reads(session: AsyncSession, agent_id: UUID) -> Sequence[AgentRead]:
    """Lists what an agent has read since it was last released, by table and column."""
    query = select(AgentRead).where(AgentRead.agent_id == agent_id).order_by(AgentRead.table, AgentRead.column)
    return (await session.scalars(query)).all()


async def delete_reads(session: WriteSession, agent_id: UUID) -> bool:
    """False where there were none."""
    query = delete(AgentRead).where(AgentRead.agent_id == agent_id).returning(AgentRead.column)
    return bool((await session.scalars(query)).all())
