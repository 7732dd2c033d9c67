"""Proposals as live events, so that pages follow what is proposed and decided."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal import JournalSnapshot, LiveEvent, cut_text, make_event
from basewarden.proposals import Proposal, list_changed_proposals


async def read_proposal_events(
    session: AsyncSession, connection_id: UUID, since: JournalSnapshot, until: JournalSnapshot, limit: int
) -> list[LiveEvent]:
    """Reads an event for each proposal that was created, or whose status has changed, without values of rows."""
    found = await list_changed_proposals(session, connection_id, since, until, limit=limit)
    return [_describe(one) for one in found]


def _describe(proposal: Proposal) -> LiveEvent:
    body = {
        "proposalId": str(proposal.id),
        "agentId": str(proposal.agent_id),
        "agent": cut_text(proposal.agent_name),
        "status": "pending" if proposal.status == "executing" else proposal.status,
        "rows": proposal.row_count,
        "by": cut_text(proposal.decided_name) if proposal.decided_name else None,
        "sessionId": str(proposal.session_id) if proposal.session_id else None,
    }
    return make_event("proposal", proposal.id, proposal.session_id, body)
