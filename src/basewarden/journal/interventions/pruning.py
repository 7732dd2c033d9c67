"""Deletes interventions by their age; no other table refers to them."""

from datetime import timedelta

from sqlalchemy import func

from basewarden.db import WriteSession, delete_some, in_batches
from basewarden.journal.models import JournalIntervention


async def _delete_old(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, JournalIntervention, JournalIntervention.at < func.now() - keep, limit)


prune_interventions = in_batches(_delete_old)
