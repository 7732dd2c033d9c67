"""Pauses, freezes and releases agents: one of them, or all agents of a connection.

A stop waits for the writes that are being stored, so that each write is either stored before it or refused by it. Every
process then forgets what it knows of the agent, and ends its running requests.
"""

from typing import Literal
from uuid import UUID

from basewarden.connections import queries
from basewarden.connections.agents import AGENT_TOPIC
from basewarden.connections.guard.queries import delete_reads
from basewarden.connections.models import Agent, AgentState, Connection
from basewarden.connections.stops import CONNECTION_STATE_TOPIC, STOP_TOPIC, Stop
from basewarden.db import Listener, ReadSession, WriteSession
from basewarden.errors import NotFound

AgentAction = Literal["pause", "resume", "freeze", "release"]
FROZEN_TOGETHER = (AgentState.ACTIVE, AgentState.NEVER_USED, AgentState.PAUSED, AgentState.FROZEN)
"""The states of agents that a freeze of all stops: a token that has ended works for none of them anyway."""


def find_shown_state(agent: Agent, connection: Connection) -> AgentState:
    """The agent's own state, or frozen where all agents of the connection are."""
    is_frozen = connection.agents_frozen_at is not None and agent.state in FROZEN_TOGETHER
    return AgentState.FROZEN if is_frozen else agent.state


class AgentStates:
    """What is in the wanted state already is left as it is; the second value returned says whether it was changed."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    async def apply(
        self, session: WriteSession, connection_id: UUID, agent_id: UUID, action: AgentAction
    ) -> tuple[Agent, bool]:
        """Raises NotFound for an agent that the connection does not have or that is revoked."""
        if action == "freeze":
            await queries.lock_stops(session, connection_id)
        column: queries.AgentTime = "frozen_at" if action in ("freeze", "release") else "paused_at"
        is_set = action in ("freeze", "pause")
        changed = await queries.set_agent_time(session, connection_id, agent_id, column, is_set=is_set)
        if changed is not None:
            await self._listener.announce(session, AGENT_TOPIC, str(agent_id))
            if action == "freeze":
                await self._listener.announce(session, STOP_TOPIC, Stop("agent", agent_id).encode())
        has_released = action == "release" and await self.forget_reads(session, connection_id, agent_id)
        agent = changed or await queries.find_agent(ReadSession(session), connection_id, agent_id)
        if agent is None:
            raise NotFound
        return agent, changed is not None or has_released

    async def forget_reads(self, session: WriteSession, connection_id: UUID, agent_id: UUID) -> bool:
        """Lets an agent of the connection write again whatever it has read; False where it had read nothing."""
        agent = await queries.find_agent(ReadSession(session), connection_id, agent_id)
        if agent is None or not await delete_reads(session, agent_id):
            return False
        await self._listener.announce(session, AGENT_TOPIC, str(agent_id))
        return True

    async def freeze_all(self, session: WriteSession, connection: Connection) -> tuple[Connection, bool]:
        """Freezes all agents of a connection; each keeps its own state for when they are released."""
        await queries.lock_stops(session, connection.id)
        changed = await queries.set_agents_frozen(session, connection.id, is_frozen=True)
        if changed is not None:
            await self._listener.announce(session, CONNECTION_STATE_TOPIC, str(connection.id))
            await self._listener.announce(session, STOP_TOPIC, Stop("connection", connection.id).encode())
        return changed or connection, changed is not None

    async def release_all(self, session: WriteSession, connection: Connection) -> tuple[Connection, bool]:
        changed = await queries.set_agents_frozen(session, connection.id, is_frozen=False)
        if changed is not None:
            await self._listener.announce(session, CONNECTION_STATE_TOPIC, str(connection.id))
        return changed or connection, changed is not None
