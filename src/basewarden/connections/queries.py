"""All SQL of connections."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Row, RowMapping, Select, and_, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from basewarden.accounts import User
from basewarden.connections.models import Agent, AgentHold, AgentRead, AgentState, Connection, ConnectionMember, Role
from basewarden.connections.stops import StopCode, make_stop_key
from basewarden.db import ReadSession, WriteSession

_STREAM_SIZE = 200
AgentTime = Literal["paused_at", "frozen_at"]


async def insert_connection(session: WriteSession, connection: Connection, member: ConnectionMember) -> None:
    session.add(connection)
    await session.flush()
    session.add(member)
    await session.flush()


async def list_connections(
    session: ReadSession, user_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[Row[Connection, str]]:
    """Lists a person's connections with their role, the newest first."""
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


async def lock_connection(session: WriteSession, connection_id: UUID) -> Connection | None:
    """Finds a connection and locks it until the transaction ends."""
    query = select(Connection).where(Connection.id == connection_id).with_for_update()
    return await session.scalar(query, execution_options={"populate_existing": True})


async def delete_connection(session: WriteSession, connection_id: UUID) -> bool:
    """False if another request has deleted it."""
    query = delete(Connection).where(Connection.id == connection_id).returning(Connection.id)
    return await session.scalar(query) is not None


async def insert_agent(session: WriteSession, values: Mapping[str, Any]) -> Agent | None:
    """Returns None if an agent with this id exists: the same form was sent twice at once."""
    query = insert(Agent).values(**values).on_conflict_do_nothing(index_elements=[Agent.id]).returning(Agent)
    return await session.scalar(query)


async def list_agents(
    session: ReadSession, connection_id: UUID, *, before: UUID | None, limit: int, states: Collection[AgentState] = ()
) -> Sequence[Agent]:
    """Lists agents in one of these states, or all that are not revoked, the newest first."""
    is_wanted = or_(*map(_has_state, states)) if states else Agent.revoked_at.is_(None)
    query = select(Agent).where(Agent.connection_id == connection_id, is_wanted).order_by(Agent.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Agent.id < before)
    return (await session.scalars(query)).all()


async def count_agents_by_state(session: ReadSession, connection_id: UUID) -> dict[AgentState, int]:
    counts = (func.count().filter(_has_state(state)).label(state) for state in AgentState)
    row = (await session.execute(select(*counts).where(Agent.connection_id == connection_id))).one()
    return dict(zip(AgentState, row, strict=True))


def _has_state(state: AgentState) -> ColumnElement[bool]:
    """Returns the condition for `Agent.state`."""
    is_kept = Agent.revoked_at.is_(None)
    is_expired = func.coalesce(Agent.expires_at <= func.now(), False)
    is_frozen, is_paused = Agent.frozen_at.is_not(None), Agent.paused_at.is_not(None)
    is_free = and_(~is_expired, ~is_frozen, ~is_paused)
    conditions = {
        AgentState.ACTIVE: and_(is_free, Agent.last_used_at.is_not(None)),
        AgentState.NEVER_USED: and_(is_free, Agent.last_used_at.is_(None)),
        AgentState.PAUSED: and_(~is_expired, ~is_frozen, is_paused),
        AgentState.FROZEN: and_(~is_expired, is_frozen),
        AgentState.EXPIRED: is_expired,
    }
    if state is AgentState.REVOKED:
        return Agent.revoked_at.is_not(None)
    return and_(is_kept, conditions[state])


async def list_agent_holds(
    session: ReadSession, connection_id: UUID, agents: Collection[UUID]
) -> dict[UUID, frozenset[AgentHold]]:
    """Lists by agent what holds its requests now; without agents that are revoked."""
    if not agents:
        return {}
    has_read = select(AgentRead.agent_id).where(AgentRead.agent_id == Agent.id, AgentRead.column != "").exists()
    query = select(Agent, has_read).where(Agent.connection_id == connection_id, Agent.id.in_(agents))
    found = await session.execute(query.where(Agent.revoked_at.is_(None)))
    return {agent.id: _list_holds(agent, has_read=bool(read)) for agent, read in found}


def _list_holds(agent: Agent, *, has_read: bool) -> frozenset[AgentHold]:
    if agent.state is AgentState.EXPIRED:
        return frozenset()
    holds: tuple[tuple[AgentHold, bool], ...] = (
        ("frozen", agent.frozen_at is not None),
        ("paused", agent.paused_at is not None),
        ("read", has_read),
    )
    return frozenset(hold for hold, is_held in holds if is_held)


async def count_agents(session: ReadSession, connection_id: UUID) -> int:
    query = select(func.count()).where(Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
    return await session.scalar(query) or 0


async def find_agent(
    session: ReadSession, connection_id: UUID, agent_id: UUID, *, revoked: bool = False
) -> Agent | None:
    """Finds an agent of this connection; a revoked one only with `revoked`."""
    query = select(Agent).where(Agent.id == agent_id, Agent.connection_id == connection_id)
    return await session.scalar(query if revoked else query.where(Agent.revoked_at.is_(None)))


async def lock_agent(session: WriteSession, connection_id: UUID, agent_id: UUID) -> Agent | None:
    """Finds an agent of this connection that is not revoked, and locks it until the transaction ends."""
    query = select(Agent).where(Agent.id == agent_id, Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
    return await session.scalar(query.with_for_update())


async def update_agent(session: WriteSession, agent_id: UUID, values: Mapping[str, Any]) -> Agent:
    query = update(Agent).where(Agent.id == agent_id).values(**values).returning(Agent)
    return (await session.scalars(query, execution_options={"populate_existing": True})).one()


async def replace_token(
    session: WriteSession, connection_id: UUID, agent_id: UUID, token: Mapping[str, Any], *, known: str | None
) -> Agent | None:
    """Replaces a token by its hash and hint; None if there is no such agent, or its hint is not `known` any more."""
    query = update(Agent).where(Agent.id == agent_id, Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
    if known is not None:
        query = query.where(Agent.token_hint == known)
    return await session.scalar(query.values(**token).returning(Agent))


async def revoke_agent(session: WriteSession, connection_id: UUID, agent_id: UUID) -> Agent | None:
    """Revokes an agent; None if this connection has no such agent, or it is already revoked."""
    query = (
        update(Agent)
        .where(Agent.id == agent_id, Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(Agent)
    )
    return await session.scalar(query)


async def lock_stops(session: WriteSession, connection_id: UUID) -> None:
    """Waits for the transactions that are storing writes of this connection's agents; later ones see what changes."""
    key = func.hashtextextended(make_stop_key(connection_id), 0)
    await session.execute(select(func.pg_advisory_xact_lock(key)))


async def set_agent_time(
    session: WriteSession, connection_id: UUID, agent_id: UUID, column: AgentTime, *, is_set: bool
) -> Agent | None:
    """Sets or clears `paused_at` or `frozen_at`; None if there is no such agent, or it is in that state already."""
    known = Agent.__table__.c[column]
    query = (
        update(Agent)
        .where(Agent.id == agent_id, Agent.connection_id == connection_id, Agent.revoked_at.is_(None))
        .where(known.is_(None) if is_set else known.is_not(None))
        .values({column: func.now() if is_set else None})
        .returning(Agent)
    )
    return await session.scalar(query)


async def set_agents_frozen(session: WriteSession, connection_id: UUID, *, is_frozen: bool) -> Connection | None:
    """Freezes or releases all agents of a connection; None if they are in that state already."""
    known = Connection.agents_frozen_at
    query = (
        update(Connection)
        .where(Connection.id == connection_id, known.is_(None) if is_frozen else known.is_not(None))
        .values(agents_frozen_at=func.now() if is_frozen else None)
        .returning(Connection)
    )
    return await session.scalar(query)


async def list_stops(session: ReadSession, agents: Collection[UUID]) -> dict[UUID, StopCode]:
    """Lists those of these agents whose requests must end, and why."""
    times = (Connection.agents_frozen_at, Agent.revoked_at, Agent.frozen_at)
    query = (
        select(Agent.id, *times)
        .join(Connection, Connection.id == Agent.connection_id)
        .where(Agent.id.in_(agents), or_(*(time.is_not(None) for time in times)))
    )
    found = await session.execute(query)
    return {
        row.id: "connection_frozen" if row.agents_frozen_at else "agent_revoked" if row.revoked_at else "agent_frozen"
        for row in found
    }


async def find_agent_by_hash(session: AsyncSession, token_hash: bytes) -> Agent | None:
    return await session.scalar(select(Agent).where(Agent.token_hash == token_hash, Agent.revoked_at.is_(None)))


async def touch_agent(session: WriteSession, agent_id: UUID) -> None:
    await session.execute(update(Agent).where(Agent.id == agent_id).values(last_used_at=func.now()))


async def get_setup(session: ReadSession, connection_id: UUID, user_id: UUID) -> Row[bool, bool, bool]:
    """Returns whether the connection has had an agent, and one that sent a request; and what this person dismissed."""
    has_agent = exists().where(Agent.connection_id == connection_id)
    has_request = exists().where(Agent.connection_id == connection_id, Agent.last_used_at.is_not(None))
    dismissed = exists().where(
        ConnectionMember.connection_id == connection_id,
        ConnectionMember.user_id == user_id,
        ConnectionMember.steps_dismissed_at.is_not(None),
    )
    columns = (has_agent.label("has_agent"), has_request.label("has_request"), dismissed.label("is_dismissed"))
    return (await session.execute(select(*columns))).one()


async def dismiss_steps(session: WriteSession, connection_id: UUID, user_id: UUID) -> None:
    query = update(ConnectionMember).where(
        ConnectionMember.connection_id == connection_id, ConnectionMember.user_id == user_id
    )
    await session.execute(query.values(steps_dismissed_at=func.now()))


async def list_named_connections(
    session: ReadSession, user_id: UUID, *, text: str | None, limit: int
) -> Sequence[Row[UUID]]:
    """Lists the ids of a person's connections whose name contains `text`, the newest first."""
    query = (
        select(Connection.id)
        .join(ConnectionMember, ConnectionMember.connection_id == Connection.id)
        .where(ConnectionMember.user_id == user_id)
        .order_by(Connection.id.desc())
        .limit(limit)
    )
    if text:
        query = query.where(Connection.name.icontains(text, autoescape=True))
    return (await session.execute(query)).all()


async def list_connections_by_id(
    session: ReadSession, user_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, tuple[Connection, str, int]]:
    """Returns a person's connections with their role and the number of agents that are not revoked."""
    agents = (
        select(func.count())
        .where(Agent.connection_id == Connection.id, Agent.revoked_at.is_(None))
        .correlate(Connection)
        .scalar_subquery()
    )
    query = (
        select(Connection, ConnectionMember.role, agents)
        .join(ConnectionMember, ConnectionMember.connection_id == Connection.id)
        .where(ConnectionMember.user_id == user_id, Connection.id.in_(ids))
    )
    return {row[0].id: (row[0], row[1], row[2]) for row in await session.execute(query)}


async def list_person_roles(session: AsyncSession, user_id: UUID) -> dict[UUID, Role]:
    query = select(ConnectionMember.connection_id, ConnectionMember.role).where(ConnectionMember.user_id == user_id)
    return {connection_id: Role(role) for connection_id, role in await session.execute(query)}


async def list_openable_roles(session: AsyncSession, user_id: UUID) -> dict[UUID, Role]:
    """Lists the roles on the connections that a person may open."""
    query = select(ConnectionMember.connection_id, ConnectionMember.role)
    found = await session.execute(query.where(ConnectionMember.user_id == user_id, _is_openable()))
    return {connection_id: Role(role) for connection_id, role in found}


async def list_openable(session: AsyncSession, connection_id: UUID, people: Collection[UUID]) -> set[UUID]:
    """Lists those of these people who may open the connection: members, with the second factor if it requires one."""
    query = select(ConnectionMember.user_id).where(
        ConnectionMember.connection_id == connection_id, ConnectionMember.user_id.in_(people), _is_openable()
    )
    return set(await session.scalars(query))


async def list_owner_ids(session: AsyncSession, connection_id: UUID) -> list[UUID]:
    query = select(ConnectionMember.user_id).where(
        ConnectionMember.connection_id == connection_id, ConnectionMember.role == Role.OWNER
    )
    return sorted(await session.scalars(query))


def _is_openable() -> ColumnElement[bool]:
    """Of a membership: that it lacks no second factor that the connection requires."""
    return exists().where(
        Connection.id == ConnectionMember.connection_id,
        User.id == ConnectionMember.user_id,
        or_(~Connection.requires_two_factor, User.sealed_totp_secret.is_not(None)),
    )


async def is_member_anywhere(session: AsyncSession, user_id: UUID) -> bool:
    return bool(await session.scalar(select(exists().where(ConnectionMember.user_id == user_id))))


async def stream_memberships(session: AsyncSession, user_id: UUID) -> AsyncGenerator[RowMapping, None]:
    query = (
        select(ConnectionMember.__table__, Connection.name.label("connection_name"))
        .join(Connection, Connection.id == ConnectionMember.connection_id)
        .where(ConnectionMember.user_id == user_id)
        .order_by(ConnectionMember.connection_id)
    )
    for row in (await session.execute(query)).mappings():
        yield row


async def stream_owned_connections(
    session: AsyncSession, columns: Sequence[str], user_id: UUID
) -> AsyncGenerator[RowMapping, None]:
    """Streams the given columns only, so that sealed values are never read."""
    table = Connection.__table__.c
    query = select(*(table[name] for name in columns)).where(table.id.in_(_select_owned(user_id))).order_by(table.id)
    async for row in _stream(session, query):
        yield row


async def stream_agents_of_person(
    session: AsyncSession, columns: Sequence[str], user_id: UUID
) -> AsyncGenerator[RowMapping, None]:
    """Streams agents on connections that a person owns, and those that they created, including revoked ones."""
    table = Agent.__table__.c
    is_theirs = or_(table.created_by == user_id, table.connection_id.in_(_select_owned(user_id)))
    query = select(*(table[name] for name in columns)).where(is_theirs).order_by(table.id)
    async for row in _stream(session, query):
        yield row


async def stream_reads_of_agents(
    session: AsyncSession, columns: Sequence[str], user_id: UUID
) -> AsyncGenerator[RowMapping, None]:
    """Streams what agents have read on connections that a person owns."""
    table = AgentRead.__table__.c
    query = select(*(table[name] for name in columns)).join(Agent, Agent.id == table.agent_id)
    query = query.where(Agent.connection_id.in_(_select_owned(user_id)))
    async for row in _stream(session, query.order_by(table.agent_id, table.table_name, table.column_name)):
        yield row


async def _stream(session: AsyncSession, query: Select[Any]) -> AsyncGenerator[RowMapping, None]:
    result = await session.stream(query, execution_options={"yield_per": _STREAM_SIZE})
    try:
        async for row in result.mappings():
            yield row
    finally:
        await result.close()


def _select_owned(user_id: UUID) -> Select[UUID]:
    return select(ConnectionMember.connection_id).where(
        ConnectionMember.user_id == user_id, ConnectionMember.role == Role.OWNER
    )


async def count_owned(session: AsyncSession, user_id: UUID) -> int:
    return await session.scalar(select(func.count()).select_from(_select_owned(user_id).subquery())) or 0


async def lock_owned_connections(session: WriteSession, user_id: UUID) -> None:
    """Locks connections, so that two owners who are deleted at once do not each count on the other."""
    query = select(Connection.id).where(Connection.id.in_(_select_owned(user_id))).order_by(Connection.id)
    await session.execute(query.with_for_update())


async def list_solely_owned(session: AsyncSession, user_id: UUID) -> Sequence[Row[UUID, str, bool]]:
    """Lists the connections whose only owner is this person: id, name, and whether they have other members."""
    other = aliased(ConnectionMember)
    has_other = exists().where(other.connection_id == Connection.id, other.role == Role.OWNER, other.user_id != user_id)
    has_members = exists().where(other.connection_id == Connection.id, other.user_id != user_id)
    query = select(Connection.id, Connection.name, has_members).where(
        Connection.id.in_(_select_owned(user_id)), ~has_other
    )
    return (await session.execute(query.order_by(Connection.id))).all()


async def delete_memberships(session: WriteSession, user_id: UUID) -> list[UUID]:
    """Deletes a person's memberships and returns the ids of those connections."""
    query = delete(ConnectionMember).where(ConnectionMember.user_id == user_id)
    return list(await session.scalars(query.returning(ConnectionMember.connection_id)))
