"""All SQL about proposals. A status changes only from the one that is expected: of two decisions, one counts."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    RowMapping,
    and_,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from basewarden.connections import Agent, Connection
from basewarden.db import WriteSession, stream_by_id
from basewarden.journal import JournalSnapshot, JournalWrite, became_visible
from basewarden.proposals.models import Proposal

_PAGE_ROWS = 20
_SETTLED_STATES = ("committed", "aborted", "unknown")


async def lock_agent(session: WriteSession, agent_id: UUID) -> None:
    """Until the end of the transaction: two proposals of one agent are stored one after the other."""
    sql = text("SELECT pg_advisory_xact_lock(hashtextextended('proposals of ' || CAST(:agent AS text), 0))")
    await session.execute(sql, {"agent": str(agent_id)})


async def exists_connection(session: WriteSession, connection_id: UUID) -> bool:
    sql = text("SELECT 1 FROM connections WHERE id = :id FOR KEY SHARE")
    return await session.scalar(sql, {"id": connection_id}) is not None


async def list_same(session: WriteSession, agent_id: UUID, connection_id: UUID, digest: bytes) -> Sequence[Proposal]:
    """Lists pending proposals of the same request, with their changes."""
    query = select(Proposal).where(_is_waiting(), Proposal.connection_id == connection_id)
    query = query.where(Proposal.agent_id == agent_id, Proposal.digest == digest).with_for_update()
    return (await session.scalars(query.options(undefer(Proposal.changes)))).all()


async def count_waiting(session: AsyncSession, connection_id: UUID, agent_id: UUID | None = None) -> int:
    query = select(func.count()).select_from(Proposal).where(_is_waiting(), Proposal.connection_id == connection_id)
    if agent_id is not None:
        query = query.where(Proposal.agent_id == agent_id)
    return await session.scalar(query) or 0


async def insert_proposal(session: WriteSession, values: Mapping[str, Any], life: timedelta) -> Proposal:
    query = insert(Proposal).values(**values, expires_at=func.now() + life).returning(Proposal)
    return (await session.scalars(query)).one()


async def find_proposal(
    session: AsyncSession, connection_id: UUID, proposal_id: UUID, *, whole: bool = False
) -> Proposal | None:
    """Finds one; `whole` with its request's body, its changes and its result."""
    query = select(Proposal).where(Proposal.id == proposal_id, Proposal.connection_id == connection_id)
    if whole:
        query = query.options(undefer(Proposal.changes), undefer(Proposal.body), undefer(Proposal.result_body))
    return await session.scalar(query.execution_options(populate_existing=True))


async def list_proposals(
    session: AsyncSession,
    connection_id: UUID,
    *,
    limit: int,
    before: UUID | None = None,
    agent_id: UUID | None = None,
    status: str | None = None,
) -> Sequence[Proposal]:
    """Lists the newest first, without their changes; `status` as it is shown."""
    query = select(Proposal).where(Proposal.connection_id == connection_id)
    if before is not None:
        query = query.where(Proposal.id < before)
    if agent_id is not None:
        query = query.where(Proposal.agent_id == agent_id)
    if status is not None:
        query = query.where(_has_status(status))
    return (await session.scalars(query.order_by(Proposal.id.desc()).limit(limit))).all()


async def list_proposals_by_id(
    session: AsyncSession, ids: Collection[UUID], connection_id: UUID | None = None
) -> Sequence[Proposal]:
    """Lists the newest first; of one connection where it is named."""
    query = select(Proposal).where(Proposal.id.in_(ids))
    if connection_id is not None:
        query = query.where(Proposal.connection_id == connection_id)
    return (await session.scalars(query.order_by(Proposal.id.desc()))).all()


async def list_changed_proposals(
    session: AsyncSession, connection_id: UUID, since: JournalSnapshot, until: JournalSnapshot, *, limit: int
) -> Sequence[Proposal]:
    """Lists what was created, or has another status, since a snapshot of our transactions."""
    query = (
        select(Proposal)
        .where(Proposal.connection_id == connection_id, became_visible(Proposal.xact, since, until))
        .order_by(Proposal.xact, Proposal.id)
        .limit(limit)
    )
    return (await session.scalars(query)).all()


async def list_proposing_agents(
    session: AsyncSession, connection_id: UUID, *, limit: int
) -> Sequence[tuple[UUID, str]]:
    """Lists the ids and names of agents that there are proposals of, by name."""
    name = func.max(Proposal.agent_name)
    query = select(Proposal.agent_id, name).where(Proposal.connection_id == connection_id)
    found = await session.execute(query.group_by(Proposal.agent_id).order_by(name).limit(limit))
    return [(agent_id, agent_name) for agent_id, agent_name in found.all()]


async def count_by_status(session: AsyncSession, connection_id: UUID) -> dict[str, int]:
    """Counts by the status that is shown."""
    is_over = and_(Proposal.status == "pending", Proposal.expires_at <= func.now())
    shown = case((is_over, "expired"), (Proposal.status == "executing", "pending"), else_=Proposal.status)
    status = shown.label("shown")
    query = select(status, func.count()).where(Proposal.connection_id == connection_id).group_by(literal_column("1"))
    return {row[0]: row[1] for row in await session.execute(query)}


async def find_creator_rule(session: AsyncSession, connection_id: UUID, agent_id: UUID) -> UUID | None:
    """Finds the person who created the agent, where the connection wants another one's approval."""
    query = select(Agent.created_by).join(Connection, Connection.id == Agent.connection_id)
    query = query.where(Connection.id == connection_id, Connection.approval_by_another, Agent.id == agent_id)
    return await session.scalar(query)


async def claim_proposal(
    session: WriteSession, connection_id: UUID, proposal_id: UUID, values: Mapping[str, Any]
) -> bool:
    """Makes a pending proposal the caller's to run; False where it is not pending, or another one's."""
    values = {**values, "status": "executing", "claimed_at": func.now(), "decided_at": func.now()}
    return await _update(session, and_(_is(connection_id, proposal_id), _is_waiting()), values)


async def decline_proposal(
    session: WriteSession, connection_id: UUID, proposal_id: UUID, values: Mapping[str, Any]
) -> bool:
    values = {**values, "status": "declined", "decided_at": func.now()}
    return await _update(session, and_(_is(connection_id, proposal_id), _is_waiting()), values)


async def renew_claim(session: WriteSession, claimed: UUID, write_id: UUID, next_write_id: UUID) -> bool:
    """Keeps a claim for the write that now follows; False where it was taken away in the meantime."""
    values = {"claimed_at": func.now(), "write_id": next_write_id}
    return await _update(session, _is_claimed(claimed, write_id), values)


async def settle_claim(session: WriteSession, claimed: UUID, write_id: UUID, values: Mapping[str, Any]) -> bool:
    return await _update(session, _is_claimed(claimed, write_id), {**values, "claimed_at": None})


async def release_claim(session: WriteSession, claimed: UUID, write_id: UUID) -> bool:
    """Makes it pending again, as if it had not been approved."""
    names = ("write_id", "decided_by", "decided_name", "decided_at", "reason")
    return await settle_claim(session, claimed, write_id, {"status": "pending", **dict.fromkeys(names)})


async def mark_stale(session: WriteSession, ids: Collection[UUID], failure: str) -> None:
    values = {"status": "stale", "failure": failure}
    await _update(session, and_(Proposal.id.in_(ids), Proposal.status == "pending"), values)


async def expire_proposals(session: WriteSession) -> bool:
    is_over = and_(Proposal.status == "pending", Proposal.expires_at <= func.now())
    return await _update(session, is_over, {"status": "expired"})


async def settle_by_journal(session: WriteSession) -> list[tuple[UUID, UUID]]:
    """Settles what was being executed by what the journal knows of its write.

    Returns connection and id of those that were executed.
    """
    failure = case(
        (JournalWrite.state == "aborted", "The write was rolled back. Nothing was changed."),
        (JournalWrite.state == "unknown", "It is not known whether the write was applied."),
    )
    values = {
        "status": case((JournalWrite.state == "committed", "executed"), else_="failed"),
        "session_id": JournalWrite.session_id,
        "failure": failure,
        "failure_code": case((JournalWrite.state == "committed", None), else_="interrupted"),
        "claimed_at": None,
    }
    is_settled = and_(
        Proposal.status == "executing",
        JournalWrite.id == Proposal.write_id,
        JournalWrite.state.in_(_SETTLED_STATES),
        Proposal.claimed_at < func.now() - timedelta(seconds=5),  # else the one who runs it knows more
    )
    query = update(Proposal).where(is_settled).values(**values)
    settled = query.returning(Proposal.connection_id, Proposal.id, Proposal.status)
    rows = await session.execute(settled, execution_options={"synchronize_session": False})
    return [(row.connection_id, row.id) for row in rows if row.status == "executed"]


async def fail_interrupted(session: WriteSession, after: timedelta) -> bool:
    """Fails what was claimed so long ago without a write in the journal: that claim can record none any more."""
    is_lost = and_(
        Proposal.status == "executing",
        Proposal.claimed_at < func.now() - after,
        ~select(JournalWrite.id).where(JournalWrite.id == Proposal.write_id).exists(),
    )
    failure = "The approval was interrupted. Nothing was changed."
    return await _update(
        session, is_lost, {"status": "failed", "failure_code": "interrupted", "failure": failure, "claimed_at": None}
    )


async def anonymise_decisions(session: WriteSession, person_id: UUID, name: str) -> int:
    """Replaces a person's name, and removes what they wrote."""
    query = update(Proposal).where(Proposal.decided_by == person_id).values(decided_name=name, reason=None)
    result = await session.execute(query, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount


def stream_proposals(
    session: AsyncSession, columns: Sequence[str], person_id: UUID, owned: Collection[UUID]
) -> AsyncGenerator[RowMapping, None]:
    """Streams those that a person has decided, and all of connections that they own. `columns` must include `id`."""
    table = Proposal.__table__.c
    query = select(*(table[name] for name in columns))
    query = query.where(or_(table.decided_by == person_id, table.connection_id.in_(owned)))
    return stream_by_id(session, query, table.id, page_rows=_PAGE_ROWS)


def _is(connection_id: UUID, proposal_id: UUID) -> ColumnElement[bool]:
    return and_(Proposal.connection_id == connection_id, Proposal.id == proposal_id)


def _is_waiting() -> ColumnElement[bool]:
    return and_(Proposal.status == "pending", Proposal.expires_at > func.now())


def _is_claimed(proposal_id: UUID, write_id: UUID) -> ColumnElement[bool]:
    return and_(Proposal.id == proposal_id, Proposal.status == "executing", Proposal.write_id == write_id)


def _has_status(status: str) -> ColumnElement[bool]:
    if status == "pending":
        return or_(_is_waiting(), Proposal.status == "executing")
    if status == "expired":
        return or_(Proposal.status == "expired", and_(Proposal.status == "pending", Proposal.expires_at <= func.now()))
    return Proposal.status == status


async def _update(session: WriteSession, which: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
    """Returns whether any row was changed."""
    query = update(Proposal).where(which).values(**values)
    result = await session.execute(query, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount > 0
