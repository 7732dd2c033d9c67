"""Stores proposals, lists them, and settles what becomes of each."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from basewarden.core.ids import make_id, parse_id
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import Invalid, NotFound
from basewarden.proposals import queries
from basewarden.proposals.errors import NothingProposed, ProposalTooLarge, TooManyProposals
from basewarden.proposals.models import Proposal
from basewarden.proposals.pins import find_difference
from basewarden.proposals.values import (
    STATUSES,
    ProposalDetail,
    ProposalStatus,
    ProposedWrite,
    StoredRequest,
    encode_changes,
    find_proposal_status,
    read_pins,
    show_changes,
)

DEFAULT_PAGE = 50
MAX_PAGE = 200
MAX_WAITING = 100
"""Proposals of one agent that may wait at a time."""
MAX_ROWS = 1000
MAX_BYTES = 4 * 1024 * 1024
"""The limit for the images and the request's body together."""
_PROPOSED_AGAIN = "The same request was proposed again, and would change other rows by then."


@dataclass(frozen=True, slots=True)
class ProposalPage:
    """`cursor` of the next page; None on the last one. `now` decides which have expired."""

    proposals: tuple[Proposal, ...]
    cursor: UUID | None
    now: datetime

    def find_status(self, proposal: Proposal) -> ProposalStatus:
        return find_proposal_status(proposal, self.now)


class StoredProposal(NamedTuple):
    id: UUID
    expires_at: datetime


class Proposals:
    """Stores what agents propose. `life` is how long a proposal can be approved."""

    def __init__(self, database: Database, life: timedelta) -> None:
        self._database = database
        self._life = life

    async def store(self, proposed: ProposedWrite) -> StoredProposal:
        """Stores a proposal; the same request with the same rows is the proposal that waits already.

        Raises NothingProposed, ProposalTooLarge or TooManyProposals.
        """
        changes = _encode_bounded(proposed)
        async with self._database.write_now() as session:
            await queries.lock_agent(session, proposed.agent_id)
            if not await queries.exists_connection(session, proposed.connection_id):
                raise NotFound
            digest = _digest(proposed.agent_id, proposed.request)
            known = await _replace_same(session, proposed, digest)
            if known is not None:
                return StoredProposal(known.id, known.expires_at)
            if await queries.count_waiting(session, proposed.connection_id, proposed.agent_id) >= MAX_WAITING:
                raise TooManyProposals
            values = {**_make_values(proposed), "digest": digest, "changes": changes}
            stored = await queries.insert_proposal(session, values, self._life)
            return StoredProposal(stored.id, stored.expires_at)

    async def find_of_agent(self, connection_id: UUID, agent_id: UUID, proposal_id: str) -> ProposalDetail:
        """Finds a proposal of an agent, with its result. Raises NotFound for one of another agent, too."""
        async with self._database.read_only() as session:
            found = await _get(session, connection_id, proposal_id)
        if found.agent_id != agent_id:
            raise NotFound("There is no such proposal.")
        return ProposalDetail(found, find_proposal_status(found, datetime.now(UTC)))


async def find_proposal(session: ReadSession, connection_id: UUID, proposal_id: str) -> ProposalDetail:
    """Finds a proposal with its row changes. Raises NotFound."""
    found = await _get(session, connection_id, proposal_id)
    status = find_proposal_status(found, datetime.now(UTC))
    return ProposalDetail(found, status, show_changes(found, found.changes))


async def list_proposals(
    session: ReadSession,
    connection_id: UUID,
    *,
    status: str | None = None,
    agent: str | None = None,
    cursor: UUID | None = None,
    limit: int = DEFAULT_PAGE,
) -> ProposalPage:
    """Lists the newest first. Raises Invalid for invalid filters."""
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid.field("limit", f"Must be between 1 and {MAX_PAGE}.")
    if status is not None and status not in STATUSES:
        raise Invalid.field("status", f"Choose one of {', '.join(STATUSES)}.")
    agent_id = parse_id(agent) if agent is not None else None
    if agent is not None and agent_id is None:
        raise Invalid.field("agent", "This is not an agent's id.")
    found = await queries.list_proposals(
        session, connection_id, limit=limit + 1, before=cursor, agent_id=agent_id, status=status
    )
    page = tuple(found[:limit])
    return ProposalPage(page, page[-1].id if len(found) > limit else None, datetime.now(UTC))


async def count_waiting(session: ReadSession, connection_id: UUID) -> int:
    """Counts the proposals that a person can decide now."""
    return await queries.count_waiting(session, connection_id)


async def count_by_status(session: ReadSession, connection_id: UUID) -> dict[str, int]:
    return await queries.count_by_status(session, connection_id)


async def _get(session: ReadSession, connection_id: UUID, proposal_id: str) -> Proposal:
    known = parse_id(proposal_id)
    found = await queries.find_proposal(session, connection_id, known, whole=True) if known else None
    if found is None:
        raise NotFound("There is no such proposal.")
    return found


def check_row_count(rows: int) -> None:
    """Raises ProposalTooLarge for more rows than a person can review."""
    if rows > MAX_ROWS:
        raise ProposalTooLarge(details={"rows": MAX_ROWS})


# Storing --------------------------------------------------------------------------------------------------


def _encode_bounded(proposed: ProposedWrite) -> Sequence[dict[str, object]]:
    pins = proposed.pins
    if proposed.verb != "call" and not pins.changes and not pins.uncaptured and not pins.reserve:
        raise NothingProposed
    check_row_count(max(len(pins.changes), pins.reserve))
    changes = encode_changes(pins.changes)
    if len(proposed.request.body) + len(msgspec.json.encode(changes)) > MAX_BYTES:
        raise ProposalTooLarge(details={"bytes": MAX_BYTES})
    return changes


async def _replace_same(session: WriteSession, proposed: ProposedWrite, digest: bytes) -> Proposal | None:
    """Finds the proposal that waits already for the same changes; of the same request with others, none waits on."""
    known = None
    for one in await queries.list_same(session, proposed.agent_id, proposed.connection_id, digest):
        if find_difference(read_pins(one, one.changes), proposed.pins) is None:
            known = one
        else:
            await queries.mark_stale(session, [one.id], _PROPOSED_AGAIN)
    return known


def _make_values(proposed: ProposedWrite) -> dict[str, object]:
    request, pins = proposed.request, proposed.pins
    return {
        "id": make_id(),
        "connection_id": proposed.connection_id,
        "agent_id": proposed.agent_id,
        "agent_name": proposed.agent_name,
        "label": request.label,
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": request.headers,
        "body": request.body,
        "verb": proposed.verb,
        "schema": proposed.schema,
        "table": proposed.table,
        "summary": proposed.summary,
        "row_count": max(len(pins.changes), pins.reserve),
        "tables": list(proposed.tables),
        "change_counts": list(proposed.change_counts),
        "uncaptured": msgspec.to_builtins(pins.uncaptured),
        "reserve": pins.reserve,
        "is_computed": pins.is_computed,
        "after_reading": list(proposed.after_reading),
        "made": {name: sorted(columns) for name, columns in pins.made.items()},
    }


def _digest(agent_id: UUID, request: StoredRequest) -> bytes:
    head = (str(agent_id), request.label, request.method, request.path, request.query, sorted(request.headers))
    return hashlib.blake2b(msgspec.json.encode((*head, request.body)), digest_size=32).digest()
