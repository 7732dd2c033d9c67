"""Proposals as JSON. Images stay the text that PostgreSQL wrote, so that no number loses a digit."""

from collections.abc import Sequence
from typing import Any

import msgspec

from basewarden.approvals.schemas import DecisionOut
from basewarden.approvals.service import Decision
from basewarden.journal import JournalMutation
from basewarden.proposals import Proposal, ProposalDetail, ProposalStatus

MAX_BODY_SHOWN = 64 * 1024
_decode_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def proposal_body(proposal: Proposal, status: ProposalStatus) -> dict[str, Any]:
    """One that is being approved has no decision yet."""
    is_decided = status != "pending" and proposal.decided_by is not None
    return {
        "id": str(proposal.id),
        "agent": {"id": str(proposal.agent_id), "name": proposal.agent_name},
        "label": proposal.label,
        "status": status,
        "createdAt": proposal.created_at.isoformat(),
        "expiresAt": proposal.expires_at.isoformat(),
        "verb": proposal.verb,
        "schema": proposal.schema,
        "table": proposal.table,
        "tables": proposal.tables,
        "afterReading": proposal.after_reading,
        "summary": proposal.summary,
        "rowCount": proposal.row_count,
        "unseen": proposal.uncaptured,
        "isComputed": proposal.is_computed,
        "decidedBy": {"id": str(proposal.decided_by), "name": proposal.decided_name} if is_decided else None,
        "decidedAt": proposal.decided_at.isoformat() if is_decided and proposal.decided_at else None,
        "reason": proposal.reason if is_decided else None,
        "sessionId": str(proposal.session_id) if proposal.session_id else None,
        "failure": proposal.failure,
    }


def detail_body(found: ProposalDetail) -> dict[str, Any]:
    proposal = found.proposal
    request = {"method": proposal.method, "path": proposal.path, "query": proposal.query}
    return {
        **proposal_body(proposal, found.status),
        "request": {**request, "body": _show_text(proposal.body)},
        "changes": [_change_body(row) for row in found.rows],
    }


def show_decisions(decisions: Sequence[Decision]) -> list[DecisionOut]:
    return [
        DecisionOut(
            id=one.proposal_id,
            status=msgspec.convert(one.status, Any),
            session_id=one.session_id,
            code=one.error.code if one.error else None,
            message=one.error.text if one.error else None,
        )
        for one in decisions
    ]


def _change_body(row: JournalMutation) -> dict[str, Any]:
    shown = row.after if row.before is None else row.before
    values = _decode_row(shown or "{}")
    return {
        "position": row.position,
        "schema": row.schema,
        "table": row.table,
        "verb": row.verb,
        "cause": row.cause,
        "primaryKey": {name: values.get(name) for name in row.key_columns},
        "before": _raw(row.before),
        "after": _raw(row.after),
        "beforeExact": row.before_exact,
        "afterExact": row.after_exact,
    }


def _show_text(body: bytes) -> str | None:
    if not body or len(body) > MAX_BODY_SHOWN:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _raw(image: str | None) -> msgspec.Raw | None:
    return msgspec.Raw(image.encode()) if image is not None else None
