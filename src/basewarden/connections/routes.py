"""`/api/connections`: connections and their agents."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from basewarden.accounts import ClientInfoDep, FreshlySignedIn, ReauthRequired, SignedIn
from basewarden.billing import PlanLimit
from basewarden.connections.agent_edits import AgentEdits
from basewarden.connections.agents import Agents, list_agents
from basewarden.connections.callers import Owner, Viewer
from basewarden.connections.errors import ConnectionFailed, TablesUnchecked
from basewarden.connections.models import Agent, AgentState, Connection, Environment, Role
from basewarden.connections.probe import ServerFacts
from basewarden.connections.rest.probe import RestFacts
from basewarden.connections.schemas import (
    AgentChange,
    AgentCreate,
    AgentCreated,
    AgentOut,
    AgentsOut,
    AgentStatus,
    AgentToken,
    ConnectionChange,
    ConnectionCreate,
    ConnectionOut,
    ConnectionsOut,
    HealthOut,
    RoleOut,
)
from basewarden.connections.service import Connections, list_connections
from basewarden.core.ids import parse_id
from basewarden.errors import NotFound, TooMany
from basewarden.web import Reading, Writing, declare, inject

router = APIRouter(prefix="/api/connections", tags=["connections"])
one = APIRouter(prefix="/{connection_id}")

ConnectionsDep = Annotated[Connections, Depends(inject(Connections))]
AgentsDep = Annotated[Agents, Depends(inject(Agents))]
AgentEditsDep = Annotated[AgentEdits, Depends(inject(AgentEdits))]
Limit = Annotated[int, Query(ge=1, le=200)]
Backend = Literal["direct", "forward"]
_STATES_BY_STATUS: dict[AgentStatus, tuple[AgentState, ...]] = {
    "active": (AgentState.ACTIVE, AgentState.NEVER_USED),
    "paused": (AgentState.PAUSED,),
    "frozen": (AgentState.FROZEN,),
    "revoked": (AgentState.REVOKED,),
    "expired": (AgentState.EXPIRED,),
}


@router.get("", summary="Lists the connections that you are a member of.")
async def get_connections(
    person: SignedIn, session: Reading, cursor: UUID | None = None, limit: Limit = 50
) -> ConnectionsOut:
    rows = await list_connections(session, person.id, before=cursor, limit=limit + 1)
    shown = rows[:limit]
    return ConnectionsOut(
        connections=[show_connection(connection, Role(role)) for connection, role in shown],
        next_cursor=shown[-1][0].id if len(rows) > limit else None,
    )


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=declare(ConnectionFailed, PlanLimit, TooMany),
    summary="Creates a connection.",
)
async def post_connection(
    body: ConnectionCreate,
    person: SignedIn,
    session: Writing,
    connections: ConnectionsDep,
    client_info: ClientInfoDep,
) -> ConnectionOut:
    """`url` and `key` are those of a Supabase project, `postgresUrl` is the address of a Postgres database.

    The credentials are tested, then sealed.
    """
    return show_connection(await connections.create(session, body, person, client_info), Role.OWNER)


@one.get("", summary="Returns a connection.")
async def get_connection(member: Viewer) -> ConnectionOut:
    return show_connection(member.connection, member.role)


@one.patch("", responses=declare(ConnectionFailed, TooMany, ReauthRequired), summary="Changes a connection.")
async def patch_connection(
    body: ConnectionChange, member: Owner, session: Writing, connections: ConnectionsDep
) -> ConnectionOut:
    """Only what is sent changes; null removes an address. A new address, key or role needs a recent sign-in."""
    if body.changes_access and not member.person.is_fresh:
        raise ReauthRequired
    changed = await connections.change(session, member.connection, body, member.person.id)
    return show_connection(changed, member.role)


@one.delete(
    "",
    status_code=HTTPStatus.NO_CONTENT,
    responses=declare(ReauthRequired),
    summary="Deletes a connection with its agents and its journal.",
)
async def delete_connection(
    member: Owner, _: FreshlySignedIn, session: Writing, connections: ConnectionsDep, client_info: ClientInfoDep
) -> None:
    await connections.delete(session, member.connection, member.person, client_info)


@one.get("/health", responses=declare(TooMany), summary="Tests the connection now.")
async def get_health(member: Viewer, connections: ConnectionsDep) -> HealthOut:
    """200 also where the test fails: `ok` is false then, and `reason` says why."""
    try:
        facts = await connections.check(member.connection, member.person.id)
    except ConnectionFailed as error:
        backend: Backend = "direct" if member.connection.is_direct else "forward"
        return HealthOut(ok=False, backend=backend, reason=error.reason, message=error.text, hint=error.hint)
    return show_health(facts) if isinstance(facts, ServerFacts) else show_rest_health(facts)


@one.get("/agents", summary="Lists the agents of a connection, without their tokens.")
async def get_agents(
    member: Viewer,
    session: Reading,
    cursor: UUID | None = None,
    limit: Limit = 50,
    status: AgentStatus | None = None,
) -> AgentsOut:
    """Without a status, those that are not revoked."""
    states = _STATES_BY_STATUS[status] if status else ()
    agents = await list_agents(session, member.connection.id, before=cursor, limit=limit + 1, states=states)
    shown = agents[:limit]
    return AgentsOut(
        agents=[show_agent(agent) for agent in shown],
        next_cursor=shown[-1].id if len(agents) > limit else None,
    )


@one.post(
    "/agents",
    status_code=HTTPStatus.CREATED,
    responses=declare(ReauthRequired, TablesUnchecked),
    summary="Creates an agent, and returns its token.",
)
async def post_agent(
    *,
    body: AgentCreate,
    member: Owner,
    _: FreshlySignedIn,
    session: Writing,
    agents: AgentsDep,
    client_info: ClientInfoDep,
) -> AgentCreated:
    """The token is shown this once. A table that the project does not have is refused by name."""
    agent, token = await agents.create(session, member, body, client_info)
    return AgentCreated(id=agent.id, token=token)


@one.get("/agents/{agent_id}", summary="Returns an agent, also a revoked one, without its token.")
async def get_agent(agent_id: str, member: Viewer, session: Reading, agents: AgentsDep) -> AgentOut:
    return show_agent(await agents.get(session, member.connection.id, parse_agent_id(agent_id), revoked=True))


@one.patch(
    "/agents/{agent_id}", responses=declare(ReauthRequired, TablesUnchecked), summary="Changes what an agent may do."
)
async def patch_agent(
    *,
    agent_id: str,
    body: AgentChange,
    member: Owner,
    session: Writing,
    edits: AgentEditsDep,
    client_info: ClientInfoDep,
) -> AgentOut:
    """Only what is sent changes, from the agent's next request on; null for `tables` stands for every table.

    What lets it do more needs a recent sign-in: more access, tables, functions or columns, another role or claims, a
    higher limit, a later expiry. A list of tables that names functions replaces the functions too.
    """
    edit = await edits.plan(member.connection.id, parse_agent_id(agent_id), body)
    is_fresh = member.person.is_fresh
    if edit.is_widening and not is_fresh:
        raise ReauthRequired
    return show_agent(await edits.apply(session, member, edit, client_info, is_confirmed=is_fresh))


@one.post("/agents/{agent_id}/rotate", responses=declare(ReauthRequired), summary="Replaces the token of an agent.")
async def post_rotate(
    *,
    agent_id: str,
    member: Owner,
    _: FreshlySignedIn,
    session: Writing,
    agents: AgentsDep,
    client_info: ClientInfoDep,
) -> AgentToken:
    """The new token is shown this once; the old one stops working at once."""
    rotated = await agents.rotate(session, member, parse_agent_id(agent_id), client_info)
    assert rotated is not None
    return AgentToken(token=rotated[1])


@one.delete(
    "/agents/{agent_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Deletes an agent; its token stops working at once.",
)
async def delete_agent(
    agent_id: str, member: Owner, session: Writing, agents: AgentsDep, client_info: ClientInfoDep
) -> None:
    await agents.revoke(session, member, parse_agent_id(agent_id), client_info)


router.include_router(one)


def parse_agent_id(agent_id: str) -> UUID:
    """Raises NotFound for what is no id."""
    wanted = parse_id(agent_id)
    if wanted is None:
        raise NotFound
    return wanted


def show_connection(connection: Connection, role: Role) -> ConnectionOut:
    return ConnectionOut(
        id=connection.id,
        name=connection.name,
        environment=Environment(connection.environment),
        has_key=connection.sealed_key is not None,
        has_postgres_url=connection.is_direct,
        role=connection.role,
        db_role=connection.db_role,
        schemas=connection.schemas,
        requires_two_factor=connection.requires_two_factor,
        approval_by_another=connection.approval_by_another,
        member=role,
        server_version=connection.server if connection.facts is None else connection.facts["server_version"],
        agents_frozen_at=connection.agents_frozen_at,
        created_at=connection.created_at,
    )


def show_health(facts: ServerFacts) -> HealthOut:
    return HealthOut(
        ok=True,
        backend="direct",
        server_version=facts.server_version,
        latency_ms=facts.latency_ms,
        login_role=facts.login_role,
        uses_tls=facts.uses_tls,
        is_superuser=facts.is_superuser,
        bypasses_rls=facts.bypasses_rls,
        is_read_only=facts.is_read_only,
        tables=facts.tables,
        readable_tables=facts.readable_tables,
        writable_tables=facts.writable_tables,
        roles=[
            RoleOut(name=role.name, is_superuser=role.is_superuser, bypasses_rls=role.bypasses_rls)
            for role in facts.roles
        ],
    )


def show_rest_health(facts: RestFacts) -> HealthOut:
    """Describes a project's API; facts that it does not provide are null."""
    return HealthOut(
        ok=True,
        backend="forward",
        server_version=facts.server,
        latency_ms=facts.latency_ms,
        uses_tls=facts.uses_tls,
        tables=facts.tables,
        writable_tables=facts.writable_tables,
        key_role=facts.role,
        tells_schema=facts.tells_schema,
        schemas=list(facts.schemas),
    )


def show_agent(agent: Agent) -> AgentOut:
    access = agent.table_access
    is_uniform = access is None or all(one == agent.access for one in access.values())
    reach = {"tables": list(access) if access is not None and is_uniform else access, "functions": agent.function_names}
    return AgentOut.model_validate(agent, from_attributes=True).model_copy(update=reach)
