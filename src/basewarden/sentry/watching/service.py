"""Starts the automatic scans, each once, whichever of our processes looks first.

A scan that starts counts as failed until it ends well: its next attempt is planned, further off each time. So a
database that cannot be reached is asked seldom, and a scan is not lost with its process.
"""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy import func

from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.connections import Membership
from basewarden.db import Database, WriteSession
from basewarden.errors import NotFound
from basewarden.gateway import NeedsPostgres
from basewarden.jobs import Jobs, RetryPolicy
from basewarden.sentry.errors import ScanRunning
from basewarden.sentry.models import ScanCause, ScanSchedule, SentryWatch
from basewarden.sentry.service import WATCH_JOB, Scans
from basewarden.sentry.watching import queries

QUIET: Final = timedelta(minutes=5)
"""Changes that follow a scan because of a change share the next one."""
MOST_AT_ONCE: Final = 2
"""The worker of jobs has other work, too."""
_EVERY_MINUTE: Final = "* * * * *"
_BACK_OFF: Final = RetryPolicy(attempts=10_000, first=queries.RETRY, longest=timedelta(days=1))
_log = structlog.get_logger()


class Watching:
    def __init__(self, database: Database, jobs: Jobs, scans: Scans, audit: Audit) -> None:
        self._database = database
        self._jobs = jobs
        self._scans = scans
        self._audit = audit
        jobs.register_periodic(WATCH_JOB, _EVERY_MINUTE, self.start_due)

    async def start_due(self) -> None:
        """Starts what is due. A scan that ends leads here again, so that others need not wait for the next minute."""
        async with self._database.unit_of_work() as unit:
            await queries.insert_missing_watches(unit)
            places = MOST_AT_ONCE - await queries.count_running(unit)
            for watch in await queries.lock_due_watches(unit, max(0, places)):
                await self._start(unit, watch)

    async def _start(self, unit: WriteSession, watch: SentryWatch) -> None:
        has_changed = watch.is_change_next
        cause = ScanCause.SCHEMA_CHANGE if has_changed else ScanCause.SCHEDULE
        wait = _BACK_OFF.find_wait(watch.attempts + 1) or _BACK_OFF.longest
        try:
            await self._scans.start(unit, watch.connection_id, None, cause)
        except ScanRunning:
            return  # it was asked for just now
        await queries.note_attempt(unit, watch, wait, QUIET if has_changed else None)
        _log.info("sentry.started", connection=str(watch.connection_id), cause=cause.value)

    async def note_version(self, connection_id: UUID, catalog: str) -> None:
        """A snapshot of the schema was loaded, of this version of the catalog."""
        async with self._database.unit_of_work() as unit:
            due_in = await queries.note_change(unit, connection_id, catalog)
            if due_in is not None:
                await self._jobs.enqueue(unit, WATCH_JOB, after=due_in, key=f"{WATCH_JOB}:{connection_id}")

    async def change(
        self, session: WriteSession, member: Membership, schedule: ScanSchedule, client_info: ClientInfo
    ) -> SentryWatch:
        """Another schedule begins with a scan. Raises NeedsPostgres."""
        if not member.connection.is_direct:
            raise NeedsPostgres
        connection_id = member.connection.id
        await queries.insert_missing_watches(session, connection_id)
        watch = await queries.find_watch(session, connection_id, for_update=True)
        if watch is None:
            raise NotFound
        if watch.schedule == schedule:
            return watch
        next_at = None if schedule is ScanSchedule.OFF else func.now()
        values: dict[str, Any] = {"schedule": schedule, "next_at": next_at, "change_at": None, "attempts": 0}
        await queries.update_watch(session, connection_id, values)
        await self._jobs.enqueue(session, WATCH_JOB, key=WATCH_JOB)
        details = {"name": member.connection.name, "connection": str(connection_id), "schedule": schedule.value}
        kind = EventKind.SCAN_SCHEDULE_CHANGED
        await self._audit.record(session, AccountEvent(member.person.audit_id, kind, client_info, details))
        await session.refresh(watch)
        return watch
