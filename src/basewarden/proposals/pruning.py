"""Deletes proposals by their age; no other table refers to them."""

from datetime import timedelta

from sqlalchemy import and_, func

from basewarden.db import WriteSession, delete_some, in_batches
from basewarden.proposals.models import Proposal


async def _delete_old_proposals(session: WriteSession, keep: timedelta, limit: int) -> int:
    is_old = and_(Proposal.created_at < func.now() - keep, Proposal.status.not_in(("pending", "executing")))
    return await delete_some(session, Proposal, is_old, limit)


prune_proposals = in_batches(_delete_old_proposals)
