"""Answers an agent that asks what became of its proposal."""

import json
import re
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from basewarden.errors import Forbidden
from basewarden.gateway.backends import Backends
from basewarden.gateway.caller import Caller
from basewarden.gateway.projects import AnyProject
from basewarden.gateway.proposing import read_stored_request
from basewarden.gateway.rest import RestResult
from basewarden.proposals import Proposal, ProposalDetail, Proposals, read_request
from basewarden.web import JSON_TYPE
from pgrest import MASK_TEXT, DatabaseError, PgrestError, Response


async def answer_poll(
    proposals: Proposals, backends: Backends, project: AnyProject, caller: Caller, proposal_id: str
) -> RestResult:
    """Raises NotFound for the proposal of another agent, and Forbidden for a person, who has the connection's pages.

    The rows of a result may be read after the agent was released, so what its request reads is stored again.
    """
    if not caller.is_agent:
        raise Forbidden("Only the agent that proposed it asks here. People open the connection's pages.")
    found = await proposals.find_of_agent(caller.connection.id, caller.id, proposal_id)
    proposal = found.proposal
    result = None
    if proposal.result_status is not None:
        result = _make_result(proposal, shows_body=await _may_show(backends, project, caller, proposal))
    return RestResult(Response(200, (("Content-Type", JSON_TYPE),), msgspec.json.encode(_make_body(found, result))))


async def _may_show(backends: Backends, project: AnyProject, caller: Caller, proposal: Proposal) -> bool:
    """Whether the agent may see the rows now: its policy may be narrower than when the write ran."""
    if not proposal.result_body:
        return False
    if not proposal.path.startswith("/rpc/") and not caller.policy.may_read((proposal.schema, proposal.table)):
        return False
    try:
        ruled = await backends.apply_column_rules(project, caller)
        if _shows_hidden(ruled, proposal.query, proposal.result_body):
            return False
        await backends.add_reads(project, caller, read_stored_request(read_request(proposal, proposal.body)))
    except (PgrestError, DatabaseError, Forbidden):  # what it reads is not known any more, or not the agent's
        return False
    return True


def _shows_hidden(caller: Caller, query: str, body: bytes) -> bool:
    """Whether a column that is hidden now is named, but for a value that was masked then. In doubt it is.

    In a quoted name, a backslash stands for nothing itself.
    """
    asked = unquote_plus(query)
    text = asked + asked.replace("\\", "") + body.decode(errors="replace")
    for name in {name for rules in caller.policy.columns.values() for name in rules.hidden}:
        key = json.dumps(name, ensure_ascii=False)
        rest = re.sub(rf'{re.escape(key)}\s*:\s*(?:null|"{MASK_TEXT}")', "", text)
        if name in rest or key[1:-1] in rest:
            return True
    return False


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
