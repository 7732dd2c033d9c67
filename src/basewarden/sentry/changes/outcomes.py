"""Stores what became of a change, once the project's database has committed it or not."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from basewarden.core.ids import make_id
from basewarden.db import Database, WriteSession
from basewarden.sentry import queries
from basewarden.sentry.changes.queries import end_quarantines, find_change, update_change
from basewarden.sentry.models import ChangeKind, ChangeStatus, FindingStatus, SentryChange
from basewarden.sentry.watching.queries import note_change

_APPLIED: Final = {
    ChangeKind.FIX: (FindingStatus.RESOLVED, "fix_applied"),
    ChangeKind.QUARANTINE: (FindingStatus.QUARANTINED, "quarantined"),
}
_UNDONE: Final = {ChangeKind.FIX: "fix_undone", ChangeKind.QUARANTINE: "released"}


async def finish_change(database: Database, change_id: UUID) -> None:
    """It was committed. Does nothing where another process was first."""
    async with database.write_now() as session:
        change = await _lock_with_finding(session, change_id)
        if change is None:
            return
        now, kind = datetime.now(UTC), ChangeKind(change.kind)
        if change.status == ChangeStatus.APPLYING:
            values: dict[str, Any] = {"status": ChangeStatus.APPLIED, "applied_at": now}
            status, event = _APPLIED[kind]
            sql, actor, reason = change.sql, (change.actor_id, change.actor_name), change.reason
        elif change.status == ChangeStatus.UNDOING:
            values = {"status": ChangeStatus.UNDONE, "undone_at": now}
            status, event = FindingStatus.OPEN, _UNDONE[kind]
            sql, actor, reason = change.inverse, (change.undone_by, change.undone_by_name), None
        else:
            return
        was = ChangeStatus(change.status)
        if await update_change(session, change_id, was, values) is None:
            return
        await queries.update_finding(session, change.finding_id, {"status": status, "acknowledged_until": None})
        by = {"actor_id": actor[0], "actor_name": actor[1], "sql": sql, "reason": reason}
        await queries.insert_events(
            session, [{"id": make_id(), "finding_id": change.finding_id, "kind": event, "scan_id": None, **by}]
        )
        await note_change(session, change.connection_id)  # it may have closed or opened others, too
        await queries.announce_counts(session, change.connection_id)


async def abandon_change(database: Database, change_id: UUID) -> None:
    """It was not committed: what was to be applied was not, and what was to be taken back still holds."""
    async with database.write_now() as session:
        await update_change(session, change_id, ChangeStatus.APPLYING, {"status": ChangeStatus.FAILED})
        back = {"status": ChangeStatus.APPLIED, "undone_by": None, "undone_by_name": None}
        await update_change(session, change_id, ChangeStatus.UNDOING, back)


async def open_lost(session: WriteSession, change_ids: Collection[UUID], scan_id: UUID) -> None:
    """Quarantines whose object strangers reach again: their findings are open. The findings are locked already."""
    for finding_id in await end_quarantines(session, change_ids):
        await queries.update_finding(session, finding_id, {"status": FindingStatus.OPEN})
        event = {"id": make_id(), "finding_id": finding_id, "kind": "quarantine_lost", "scan_id": scan_id}
        await queries.insert_events(session, [event])


async def _lock_with_finding(session: WriteSession, change_id: UUID) -> SentryChange | None:
    """The finding first, as a scan does."""
    change = await find_change(session, change_id)
    if change is None:
        return None
    await queries.find_finding(session, change.connection_id, change.finding_id, for_update=True)
    await session.refresh(change)
    return change
