"""Identifies the caller of the data API: an agent by its token, or a member by the cookie."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from basewarden.accounts import SignInSessions
from basewarden.connections import (
    Access,
    AgentCaller,
    Agents,
    ConnectionTarget,
    ConnectionTargets,
    GuardOptions,
    Role,
    StopCode,
    make_stop_error,
)
from basewarden.core.ids import parse_id
from basewarden.errors import NotFound, Unauthenticated
from basewarden.gateway.recording.reviewing import WriteReview
from basewarden.journal import Kind, SessionCaller
from basewarden.policy import Policy, read_name
from basewarden.settings import Settings
from basewarden.web import header_values
from pgrest import ColumnName, ColumnRules, Name, Session

_MOST_KNOWN = 10_000


@dataclass(frozen=True)
class Caller:
    """The limits are None for people.

    `stop` says why all of its requests are refused.
    """

    kind: Kind
    id: UUID
    name: str
    connection: ConnectionTarget
    policy: Policy
    db_role: str | None
    claims: Mapping[str, Any]
    max_rows: int | None = None
    max_writes: int | None = None
    max_session_rows: int | None = None
    max_hour_rows: int | None = None
    max_read_rows: int | None = None
    """By the hour."""
    requests_per_minute: int | None = None
    """Of its own, below the deployment's limit."""
    query_seconds: float | None = None
    stop: StopCode | None = None
    reads: frozenset[ColumnName] = frozenset()
    """The sensitive columns that it is known to have read, and tables with rows of strangers."""
    holding: tuple[Name, ...] = ()
    """Those of these tables for which its write waits for an approval."""
    review: WriteReview | None = None
    """Of a write that a person has approved."""

    @cached_property
    def is_reviewed(self) -> bool:
        """Whether its writes wait for an approval, or have one."""
        return self.must_propose or self.review is not None

    @property
    def must_propose(self) -> bool:
        return (self.policy.must_propose or bool(self.holding)) and self.review is None

    @property
    def may_be_held(self) -> bool:
        """Whether its write may wait for an approval, which what it has read decides."""
        guard = self.guard
        return self.must_propose or (guard is not None and guard.holds)

    @cached_property
    def guard(self) -> GuardOptions | None:
        """None where what the caller reads does not matter for what it writes; so it is for people."""
        guard = self.connection.guard
        return guard if self.kind == "agent" and (guard.blocks or guard.holds) else None

    @property
    def can_write(self) -> bool:
        return self.policy.can_write

    @cached_property
    def is_agent(self) -> bool:
        return self.kind == "agent"

    def check_stop(self) -> None:
        """Raises the error for an agent that is paused or frozen, or whose connection's agents are."""
        if self.stop is not None:
            raise make_stop_error(self.stop)

    @cached_property
    def key(self) -> str:
        """The id as a key: a text knows its hash, a UUID computes it each time."""
        return str(self.id)

    @cached_property
    def facts(self) -> dict[str, str]:
        """For the log."""
        connection = {"connection": str(self.connection.id)}
        return {**connection, "agent": self.key} if self.is_agent else connection

    @cached_property
    def session(self) -> Session:
        """What the database knows of the caller."""
        return Session(self.db_role, self.claims, seconds=self.query_seconds)

    @cached_property
    def session_caller(self) -> SessionCaller:
        """Whose session of the journal its writes belong to, if it gives the session no name of its own."""
        return SessionCaller(
            self.connection.id,
            self.kind,
            self.id,
            self.name,
            max_writes=self.max_writes,
            max_rows=self.max_session_rows,
            max_rows_per_hour=self.max_hour_rows,
        )


class Callers:
    """Every credential that is present must be good: a bad one is not made good by another."""

    def __init__(self, agents: Agents, signins: SignInSessions, targets: ConnectionTargets, settings: Settings) -> None:
        self._agent_seconds = settings.agent_query_seconds
        self._member_seconds = settings.member_query_seconds
        self._agents = agents
        self._signins = signins
        self._targets = targets
        self._known: dict[UUID, tuple[AgentCaller, ConnectionTarget, Caller]] = {}

    async def identify(self, scope: Any, connection_id: str) -> Caller:
        person = await self._signins.find_signed_in(scope)
        tokens = read_tokens(scope)
        agents = [await self._find_agent(token) for token in tokens] if tokens else []
        if person is None and not agents:
            raise Unauthenticated
        wanted = parse_id(connection_id)
        if wanted is None:
            raise NotFound
        if agents:
            for agent in agents:
                if agent.connection_id != wanted:
                    raise NotFound
            return self._make_agent(agents[0], await self._targets.get_target(wanted))
        assert person is not None
        role = await self._targets.find_role(wanted, person)
        if role is None:
            raise NotFound
        target = await self._targets.get_target(wanted)
        return make_member_caller(
            person.id, person.name or person.email, role, target, query_seconds=self._member_seconds
        )

    async def find_agent(self, connection_id: UUID, agent_id: UUID) -> Caller | None:
        """Finds the caller of an agent without its token; None for one that is revoked or expired. Raises NotFound."""
        agent = await self._agents.find_caller(connection_id, agent_id)
        return None if agent is None else self._make_agent(agent, await self._targets.get_target(connection_id))

    def _make_agent(self, agent: AgentCaller, target: ConnectionTarget) -> Caller:
        """The same as last time, as long as what it is made of is."""
        known = self._known.get(agent.id)
        if known is not None and known[0] is agent and known[1] is target:
            return known[2]
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        caller = make_agent_caller(agent, target, query_seconds=self._agent_seconds)
        self._known[agent.id] = (agent, target, caller)
        return caller

    async def _find_agent(self, token: str) -> AgentCaller:
        agent = await self._agents.find_by_token(token)
        if agent is None:
            raise Unauthenticated
        return agent


def make_agent_caller(agent: AgentCaller, target: ConnectionTarget, *, query_seconds: float | None = None) -> Caller:
    return Caller(
        kind="agent",
        id=agent.id,
        name=agent.name,
        connection=target,
        policy=make_agent_policy(agent),
        db_role=agent.db_role or target.db_role,
        claims=agent.claims or {},
        max_rows=agent.max_rows_per_write,
        max_writes=agent.max_writes_per_session,
        max_session_rows=agent.max_rows_per_session,
        max_hour_rows=agent.max_rows_per_hour,
        max_read_rows=agent.max_read_rows_per_hour,
        requests_per_minute=agent.requests_per_minute,
        query_seconds=query_seconds,
        stop="connection_frozen" if target.are_agents_frozen else agent.stop,
        reads=frozenset((read_name(table), column) for table, column in agent.reads),
    )


def make_agent_policy(agent: AgentCaller) -> Policy:
    access = agent.tables
    return Policy(
        can_write=agent.access is not Access.READ,
        tables=None if access is None else frozenset(map(read_name, access)),
        read_only_tables=frozenset(read_name(name) for name, one in (access or {}).items() if one is Access.READ),
        functions=None if agent.functions is None else frozenset(map(read_name, agent.functions)),
        needs_filter=True,
        columns={read_name(name): _read_rules(rules) for name, rules in (agent.columns or {}).items()},
        must_propose=agent.access is Access.PROPOSE,
    )


def _read_rules(rules: Mapping[str, str]) -> ColumnRules:
    """What is not known to be a mask is denied."""
    masked = frozenset(column for column, rule in rules.items() if rule == "mask")
    return ColumnRules(frozenset(rules) - masked, masked)


def make_member_caller(
    person_id: UUID, name: str, role: Role, target: ConnectionTarget, *, query_seconds: float | None = None
) -> Caller:
    return Caller(
        kind="member",
        id=person_id,
        name=name,
        connection=target,
        policy=Policy(can_write=role.includes(Role.EDITOR)),
        db_role=target.db_role,
        claims={},
        query_seconds=query_seconds,
    )


def read_tokens(scope: Any) -> list[str]:
    """What `Authorization: Bearer` and `apikey` hold; Supabase clients send the same in both."""
    values = header_values(scope)
    if b"authorization" not in values and len(values) == len(scope["headers"]):  # each header once
        key = values.get(b"apikey")
        return [] if key is None else [key.decode("latin-1").strip()]
    tokens: dict[str, None] = {}
    for name, value in scope["headers"]:
        if name == b"apikey":
            tokens[value.decode("latin-1").strip()] = None
        elif name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            tokens[token.strip() if scheme.lower() == "bearer" else ""] = None
    return list(tokens)
