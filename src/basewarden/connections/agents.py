"""Agents: named tokens with limits. A token is shown once, stored as a hash, and invalid at once when revoked."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from basewarden.audit import Audit, ClientInfo, EventKind
from basewarden.connections import queries
from basewarden.connections.agent_checks import AgentChecks
from basewarden.connections.agent_events import make_agent_event
from basewarden.connections.callers import Membership
from basewarden.connections.guard.queries import delete_reads, list_reads
from basewarden.connections.guard.values import ReadColumn
from basewarden.connections.models import Access, Agent, AgentRead, AgentState
from basewarden.connections.schemas import AgentCreate
from basewarden.connections.stops import STOP_TOPIC, Stop, StopCode
from basewarden.connections.targets import CONNECTION_TOPIC
from basewarden.core.cache import LoadingCache
from basewarden.core.ids import make_id
from basewarden.core.tokens import hash_token, is_checked_token, make_checked_token
from basewarden.db import Database, Listener, ReadSession, WriteSession
from basewarden.errors import NotFound
from basewarden.web import COUNTS_TOPIC

TOKEN_PREFIX = "bwa"  # noqa: S105 - what a secret scanner looks for
_HINT_LENGTH = 4
AGENT_TOPIC = "agent"
_CACHE_SECONDS = 10.0
_CACHE_SIZE = 10_000
_USE_INTERVAL = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AgentCaller:
    """A calling agent and its limits. `tables` and `functions`: None = all; else by `schema.name`.

    `stop` says why its requests are refused.
    """

    id: UUID
    name: str
    connection_id: UUID
    access: Access
    tables: Mapping[str, Access] | None
    functions: Sequence[str] | None
    columns: Mapping[str, Mapping[str, str]] | None
    db_role: str | None
    claims: Mapping[str, Any] | None
    max_rows_per_write: int
    max_writes_per_session: int
    max_rows_per_session: int | None
    max_rows_per_hour: int | None
    max_read_rows_per_hour: int | None
    requests_per_minute: int | None
    expires_at: datetime | None
    stop: StopCode | None = None
    reads: frozenset[ReadColumn] = frozenset()
    """What it has read that bears on its writes."""


class AgentExists(Exception):
    """The form that names this agent's id has created it already."""


class Agents:
    def __init__(self, database: Database, listener: Listener, checks: AgentChecks, audit: Audit) -> None:
        self._database = database
        self._listener = listener
        self._checks = checks
        self._audit = audit
        self._callers = LoadingCache(self._load_caller, size=_CACHE_SIZE, seconds=_CACHE_SECONDS)
        listener.on(AGENT_TOPIC, self._forget_agent)
        listener.on(CONNECTION_TOPIC, self._forget_connection)

    async def find_by_token(self, token: str) -> AgentCaller | None:
        """Finds the agent with this token; None for an invalid, revoked or expired one."""
        token_hash = hash_token(token)
        caller = self._callers.find(token_hash)
        if caller is None and is_checked_token(token, TOKEN_PREFIX):
            caller = await self._callers.get(token_hash)
        if caller is None or is_expired(caller.expires_at):
            return None
        return caller

    async def find_caller(self, connection_id: UUID, agent_id: UUID) -> AgentCaller | None:
        """Finds an agent as a caller without its token; None for a revoked or expired one."""
        async with self._database.read_only() as session:
            agent = await queries.find_agent(session, connection_id, agent_id)
            reads = await list_reads(session, agent_id)
        return None if agent is None or is_expired(agent.expires_at) else _with_reads(make_caller(agent), reads)

    async def create(
        self,
        session: WriteSession,
        member: Membership,
        wanted: AgentCreate,
        client_info: ClientInfo,
        *,
        agent_id: UUID | None = None,
    ) -> tuple[Agent, str]:
        """Creates an agent; returns it with its token, which cannot be shown again.

        Raises AgentExists if there is one with the given id.
        """
        connection, person_id = member.connection, member.person.id
        await self._checks.check_role(connection, person_id, wanted.db_role, wanted.claims)
        await self._checks.check_names(connection, list(wanted.tables or ()), wanted.functions)
        await self._checks.check_columns(connection, wanted.columns)
        token = make_checked_token(TOKEN_PREFIX)
        values = {
            "id": agent_id or make_id(),
            "connection_id": connection.id,
            **_make_token_values(token),
            "created_by": person_id,
            **wanted.model_dump(exclude={"tables", "functions"}),
            **store_reach(wanted),
        }
        agent = await queries.insert_agent(session, values)
        if agent is None:
            raise AgentExists
        await self._listener.announce(session, COUNTS_TOPIC, str(connection.id))
        await self._record(session, member, EventKind.AGENT_TOKEN_MADE, agent, client_info)
        return agent, token

    async def rotate(
        self,
        session: WriteSession,
        member: Membership,
        agent_id: UUID,
        client_info: ClientInfo,
        *,
        known_hint: str | None = None,
    ) -> tuple[Agent, str] | None:
        """Makes a new token, which cannot be shown again; the old one is invalid at once, everywhere.

        Running requests have the old one, so they end: it may have been stolen, and a body may take minutes to arrive.

        With `known_hint`, None if that is not the hint of the token any more: the form was sent twice. Raises NotFound.
        """
        token, connection_id = make_checked_token(TOKEN_PREFIX), member.connection.id
        values = _make_token_values(token)
        agent = await queries.replace_token(session, connection_id, agent_id, values, known=known_hint)
        if agent is not None:
            await self._listener.announce(session, AGENT_TOPIC, str(agent_id))
            await self._listener.announce(session, STOP_TOPIC, Stop("revoked", agent_id).encode())
            for kind in (EventKind.AGENT_TOKEN_REVOKED, EventKind.AGENT_TOKEN_MADE):
                await self._record(session, member, kind, agent, client_info)
            return agent, token
        if known_hint is None or await queries.find_agent(ReadSession(session), connection_id, agent_id) is None:
            raise NotFound
        return None

    async def get(self, session: ReadSession, connection_id: UUID, agent_id: UUID, *, revoked: bool = False) -> Agent:
        """Returns an agent; a revoked one only with `revoked`. Raises NotFound."""
        agent = await queries.find_agent(session, connection_id, agent_id, revoked=revoked)
        if agent is None:
            raise NotFound
        return agent

    async def find(self, session: ReadSession, connection_id: UUID, agent_id: UUID) -> Agent | None:
        """Finds an agent, revoked or not."""
        return await queries.find_agent(session, connection_id, agent_id, revoked=True)

    async def revoke(self, session: WriteSession, member: Membership, agent_id: UUID, client_info: ClientInfo) -> None:
        """Ends the agent's running requests too."""
        await queries.lock_stops(session, member.connection.id)
        agent = await queries.revoke_agent(session, member.connection.id, agent_id)
        if agent is None:
            raise NotFound
        await delete_reads(session, agent_id)
        await self._listener.announce(session, AGENT_TOPIC, str(agent_id))
        await self._listener.announce(session, STOP_TOPIC, Stop("revoked", agent_id).encode())
        await self._record(session, member, EventKind.AGENT_TOKEN_REVOKED, agent, client_info)

    async def list_stops(self, agents: Collection[UUID]) -> Mapping[UUID, StopCode]:
        """Lists those of these agents whose requests must end, and why."""
        async with self._database.read_only() as session:
            return await queries.list_stops(session, agents)

    async def _load_caller(self, token_hash: bytes) -> AgentCaller | None:
        async with self._database.read_only() as session:
            agent = await queries.find_agent_by_hash(session, token_hash)
            reads = await list_reads(session, agent.id) if agent is not None else ()
        if agent is None or is_expired(agent.expires_at):
            return None
        await self._record_use(agent)
        return _with_reads(make_caller(agent), reads)

    async def _record(
        self, session: WriteSession, member: Membership, kind: EventKind, agent: Agent, client_info: ClientInfo
    ) -> None:
        await self._audit.record(session, make_agent_event(member, kind, agent, client_info))

    async def _record_use(self, agent: Agent) -> None:
        if agent.last_used_at is None or agent.last_used_at < datetime.now(UTC) - _USE_INTERVAL:
            async with self._database.write_now() as session:
                await queries.touch_agent(session, agent.id)

    def _forget_agent(self, payload: str) -> None:
        self._callers.drop_where(lambda _, caller: not payload or caller.id == UUID(payload))

    def _forget_connection(self, payload: str) -> None:
        self._callers.drop_where(lambda _, caller: not payload or caller.connection_id == UUID(payload))


def make_caller(agent: Agent) -> AgentCaller:
    return AgentCaller(
        id=agent.id,
        name=agent.name,
        connection_id=agent.connection_id,
        access=Access(agent.access),
        tables=agent.table_access,
        functions=agent.function_names,
        columns=agent.columns,
        db_role=agent.db_role,
        claims=agent.claims,
        max_rows_per_write=agent.max_rows_per_write,
        max_writes_per_session=agent.max_writes_per_session,
        max_rows_per_session=agent.max_rows_per_session,
        max_rows_per_hour=agent.max_rows_per_hour,
        max_read_rows_per_hour=agent.max_read_rows_per_hour,
        requests_per_minute=agent.requests_per_minute,
        expires_at=agent.expires_at,
        stop="agent_frozen" if agent.frozen_at else "agent_paused" if agent.paused_at else None,
    )


def _with_reads(caller: AgentCaller, reads: Iterable[AgentRead]) -> AgentCaller:
    return replace(caller, reads=frozenset((one.table, one.column) for one in reads))


def store_reach(wanted: AgentCreate) -> dict[str, list[str] | None]:
    """Returns the columns for what an agent may use. What follows its own access is apart from what it may only read.

    So a process of the version before, which knows `tables` alone, allows less and never more.
    """
    access = wanted.table_access
    if access is None:
        return {"tables": None, "read_tables": None, "functions": wanted.function_names}
    own = [name for name, one in access.items() if one is wanted.access]
    only_read = [name for name, one in access.items() if one is not wanted.access]
    return {"tables": own, "read_tables": only_read or None, "functions": wanted.function_names}


async def list_agents(
    session: ReadSession, connection_id: UUID, *, before: UUID | None, limit: int, states: Collection[AgentState] = ()
) -> Sequence[Agent]:
    return await queries.list_agents(session, connection_id, before=before, limit=limit, states=states)


async def count_agents_by_state(session: ReadSession, connection_id: UUID) -> dict[AgentState, int]:
    return await queries.count_agents_by_state(session, connection_id)


async def count_agents(session: ReadSession, connection_id: UUID) -> int:
    return await queries.count_agents(session, connection_id)


def is_expired(moment: datetime | None) -> bool:
    return moment is not None and moment <= datetime.now(UTC)


def _make_token_values(token: str) -> dict[str, Any]:
    return {"token_hash": hash_token(token), "token_hint": token[-_HINT_LENGTH:]}
