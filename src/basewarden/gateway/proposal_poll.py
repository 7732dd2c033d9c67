"""Answers an agent that asks what became of its proposal."""

from typing import Any

import msgspec

from basewarden.errors import Forbidden
from basewarden.gateway.caller import Caller
from basewarden.gateway.rest import RestResult
from basewarden.proposals import Proposal, ProposalDetail, Proposals
from basewarden.web import JSON_TYPE
from pgrest import Response


async def answer_poll(proposals: Proposals, caller: Caller, proposal_id: str) -> RestResult:
    """Raises NotFound for the proposal of another agent, and Forbidden for a person, who has the connection's pages."""
    if not caller.is_agent:
        raise Forbidden("Only the agent that proposed it asks here. People open the connection's pages.")
    found = await proposals.find_of_agent(caller.connection.id, caller.id, proposal_id)
    return RestResult(Response(200, (("Content-Type", JSON_TYPE),), msgspec.json.encode(_make_body(found))))


def _make_body(found: ProposalDetail) -> dict[str, Any]:
    proposal = found.proposal
    is_failed = found.status in ("stale", "failed")
    body = {
        "id": str(proposal.id),
        "status": found.status,
        "createdAt": proposal.created_at.isoformat(),
        "expiresAt": proposal.expires_at.isoformat(),
        "sessionId": str(proposal.session_id) if proposal.session_id and found.status != "pending" else None,
        "result": _make_result(proposal) if proposal.result_status is not None else None,
        "reason": proposal.failure if is_failed else proposal.reason if found.status != "pending" else None,
    }
    return {name: value for name, value in body.items() if value is not None}


def _make_result(proposal: Proposal) -> dict[str, Any]:
    """As the agent would have been answered; a body that is too large is left out."""
    return {"status": proposal.result_status, "body": _read_body(proposal)}


def _read_body(proposal: Proposal) -> Any:
    if not proposal.result_body:
        return None
    try:
        return msgspec.json.decode(proposal.result_body, type=msgspec.Raw)
    except msgspec.DecodeError:
        return proposal.result_body.decode(errors="replace")
