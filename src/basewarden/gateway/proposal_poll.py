"""Answers an agent that asks what became of its proposal."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from basewarden.errors import Forbidden
from basewarden.gateway.caller import Caller
from basewarden.gateway.proposing import read_stored_request
from basewarden.gateway.rest import RestCall, RestResult
from basewarden.proposals import Proposal, ProposalDetail, Proposals, read_request
from basewarden.web import JSON_TYPE
from pgrest import DatabaseError, PgrestError, Response


async def answer_poll(
    proposals: Proposals, caller: Caller, proposal_id: str, add_reads: Callable[[RestCall], Awaitable[None]]
) -> RestResult:
    """Raises NotFound for the proposal of another agent, and Forbidden for a person, who has the connection's pages.

    The rows of a result may be read after the agent was released: `add_reads` stores again what its request reads.
    """
    if not caller.is_agent:
        raise Forbidden("Only the agent that proposed it asks here. People open the connection's pages.")
    found = await proposals.find_of_agent(caller.connection.id, caller.id, proposal_id)
    proposal = found.proposal
    result = None
    if proposal.result_status is not None:
        result = _make_result(proposal, shows_body=await _may_show(proposal, add_reads))
    return RestResult(Response(200, (("Content-Type", JSON_TYPE),), msgspec.json.encode(_make_body(found, result))))


async def _may_show(proposal: Proposal, add_reads: Callable[[RestCall], Awaitable[None]]) -> bool:
    if not proposal.result_body:
        return False
    try:
        await add_reads(read_stored_request(read_request(proposal, proposal.body)))
    except (PgrestError, DatabaseError):  # what it reads is not known any more
        return False
    return True


def _make_body(found: ProposalDetail, result: dict[str, Any] | None) -> dict[str, Any]:
    proposal = found.proposal
    is_failed = found.status in ("stale", "failed")
    body = {
        "id": str(proposal.id),
        "status": found.status,
        "createdAt": proposal.created_at.isoformat(),
        "expiresAt": proposal.expires_at.isoformat(),
        "sessionId": str(proposal.session_id) if proposal.session_id and found.status != "pending" else None,
        "result": result,
        "reason": proposal.failure if is_failed else proposal.reason if found.status != "pending" else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _make_result(proposal: Proposal, *, shows_body: bool) -> dict[str, Any]:
    """As the agent would have been answered; a body that is too large is left out."""
    return {"status": proposal.result_status, "body": _read_body(proposal) if shows_body else None}


def _read_body(proposal: Proposal) -> Any:
    if not proposal.result_body:
        return None
    try:
        return msgspec.json.decode(proposal.result_body, type=msgspec.Raw)
    except msgspec.DecodeError:
        return proposal.result_body.decode(errors="replace")
