"""Decides proposals: each is claimed before it is run, by one conditional UPDATE, so that none is run twice.

A claim that its process did not live to settle is settled by the journal: what is recorded there decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from basewarden.core.ids import make_id, parse_id
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import AppError, NotFound
from basewarden.journal import WriteDecision, record_decision
from basewarden.proposals import queries
from basewarden.proposals.errors import OtherApproverRequired, make_decided_error
from basewarden.proposals.models import Proposal
from basewarden.proposals.values import Claim, ProposalResult, read_pins, read_request

CLAIM_LIFE: Final = timedelta(minutes=1)
"""How long a claim can go on without a sign of life and without a write in the journal."""
MAX_RESULT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Decider:
    """The person who approves or declines, and why."""

    person_id: UUID
    name: str
    reason: str | None = None

    @property
    def values(self) -> dict[str, object]:
        return {"decided_by": self.person_id, "decided_name": self.name, "reason": self.reason}


class Claims:
    """Each step is stored at once, whatever becomes of the request that takes it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, connection_id: UUID, proposal_id: str, by: Decider) -> Claim:
        """Raises NotFound, OtherApproverRequired, or what says how it was decided before."""
        wanted, write_id = _parse(proposal_id), make_id()
        async with self._database.write_now() as session:
            found = await _get(session, connection_id, wanted)
            if by.person_id == await queries.find_creator_rule(session, connection_id, found.agent_id):
                raise OtherApproverRequired
            values = {**by.values, "write_id": write_id}
            if not await queries.claim_proposal(session, connection_id, wanted, values):
                raise await _explain_decided(session, connection_id, wanted)
        return Claim(found, read_request(found, found.body), read_pins(found, found.changes), write_id)

    async def decline(self, connection_id: UUID, proposal_id: str, by: Decider) -> Proposal:
        """Raises NotFound, or what says how it was decided before."""
        wanted = _parse(proposal_id)
        async with self._database.write_now() as session:
            await _get(session, connection_id, wanted)
            if not await queries.decline_proposal(session, connection_id, wanted, by.values):
                raise await _explain_decided(session, connection_id, wanted)
            return await _record(session, connection_id, wanted)

    async def renew(self, claim: Claim, write_id: UUID, next_write_id: UUID) -> bool:
        """Keeps the claim for the write that now follows; False where it was taken away in the meantime."""
        async with self._database.write_now() as session:
            return await queries.renew_claim(session, claim.proposal.id, write_id, next_write_id)

    async def execute(self, claim: Claim, write_id: UUID, session_id: UUID | None, result: ProposalResult) -> None:
        body = result.body if result.body is not None and len(result.body) <= MAX_RESULT_BYTES else None
        shown = {"result_status": result.status, "result_type": result.content_type, "result_body": body}
        values = {"status": "executed", "session_id": session_id, **shown}
        async with self._database.write_now() as session:
            if await queries.settle_claim(session, claim.proposal.id, write_id, values):
                await _record(session, claim.proposal.connection_id, claim.proposal.id)

    async def fail(
        self, claim: Claim, write_id: UUID, code: str, words: str, *, session_id: UUID | None = None
    ) -> None:
        status = "stale" if code == "proposal_stale" else "failed"
        values = {"status": status, "failure_code": code, "failure": words, "session_id": session_id}
        await self._settle(claim, write_id, values)

    async def release(self, claim: Claim, write_id: UUID) -> None:
        """Makes it pending again: what refused it was of the moment, and nothing was changed."""
        async with self._database.write_now() as session:
            await queries.release_claim(session, claim.proposal.id, write_id)

    async def settle_overdue(self, claim_life: timedelta = CLAIM_LIFE) -> None:
        """Settles claims without a process, and expires proposals."""
        async with self._database.unit_of_work() as session:
            for connection_id, settled in await queries.settle_by_journal(session):
                await _record(session, connection_id, settled)
            await queries.fail_interrupted(session, claim_life)
            await queries.expire_proposals(session)

    async def _settle(self, claim: Claim, write_id: UUID, values: Mapping[str, object]) -> None:
        async with self._database.write_now() as session:
            await queries.settle_claim(session, claim.proposal.id, write_id, values)


def _parse(proposal_id: str) -> UUID:
    wanted = parse_id(proposal_id)
    if wanted is None:
        raise NotFound("There is no such proposal.")
    return wanted


async def _get(session: WriteSession, connection_id: UUID, proposal_id: UUID) -> Proposal:
    found = await queries.find_proposal(session, connection_id, proposal_id, whole=True)
    if found is None:
        raise NotFound("There is no such proposal.")
    return found


async def _record(session: WriteSession, connection_id: UUID, proposal_id: UUID) -> Proposal:
    """Records in the journal who decided, in the transaction that stores it."""
    found = await _get(session, connection_id, proposal_id)
    decision = WriteDecision(
        "decline" if found.status == "declined" else "approve",
        found.agent_id,
        found.agent_name,
        found.decided_by,
        found.decided_name,
        found.reason,
        found.session_id,
    )
    await record_decision(session, connection_id, decision)
    return found


async def _explain_decided(session: WriteSession, connection_id: UUID, proposal_id: UUID) -> AppError:
    found = await queries.find_proposal(ReadSession(session), connection_id, proposal_id)
    if found is None:
        return NotFound("There is no such proposal.")
    status = "expired" if found.status == "pending" else found.status
    return make_decided_error(proposal_id, status)
