"""Starts scans, runs them as jobs, and lets people decide about findings."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.connections import ConnectionTargets
from basewarden.core.ids import make_id, parse_id
from basewarden.db import Database, WriteSession
from basewarden.errors import AppError, Invalid, NotFound
from basewarden.gateway import SCAN, Projects
from basewarden.jobs import Jobs, RetryPolicy
from basewarden.sentry import queries
from basewarden.sentry.changes.outcomes import open_lost
from basewarden.sentry.changes.queries import find_standing, list_changed_since
from basewarden.sentry.changes.service import Changes
from basewarden.sentry.errors import ScanRunning
from basewarden.sentry.history.recording import SchemaHistory
from basewarden.sentry.models import (
    ChangeKind,
    FindingEvent,
    FindingStatus,
    ScanCause,
    ScanStatus,
    SentryChange,
    SentryFinding,
    SentryScan,
)
from basewarden.sentry.rule import ScannedObject
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.running import Acquire, RuleOutcome
from basewarden.sentry.scans.scan import Scan, ScanResult
from basewarden.sentry.scans.schema_choice import ExposedSchemas, choose_schemas
from basewarden.sentry.scans.storing import count_severities, list_gone, read_object, store_findings
from basewarden.sentry.scans.versions import read_version
from basewarden.sentry.watching.queries import note_ended, note_looking
from pgrest import DatabaseError, DbConnection, PgrestError

SCAN_JOB = "sentry_scan"
WATCH_JOB = "sentry_watch"
"""Starts the scans that are due."""
SILENCE = timedelta(minutes=2)
"""A running scan that says nothing for so long has lost its process."""
MAX_UNTIL = timedelta(days=366)
_LOST = "The process that ran it has ended."
_CLOSE_SILENT = "sentry_silent"
_NONE_KNOWN: Mapping[str, int] = {}
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FindingDetail:
    """`fix` was applied and can be undone; `quarantine` holds."""

    finding: SentryFinding
    events: Sequence[FindingEvent]
    fix: SentryChange | None
    quarantine: SentryChange | None


class Scans:
    """Scans run in the worker of jobs, one at a time for a connection."""

    def __init__(
        self,
        database: Database,
        jobs: Jobs,
        projects: Projects,
        targets: ConnectionTargets,
        changes: Changes,
        history: SchemaHistory,
    ) -> None:
        self._database = database
        self._changes = changes
        self._history = history
        self._jobs = jobs
        self._projects = projects
        self._targets = targets
        jobs.register(SCAN_JOB, self._run_job, retry=RetryPolicy(attempts=1))
        jobs.register_periodic(_CLOSE_SILENT, "* * * * *", self._fail_silent)

    async def start(
        self,
        session: WriteSession,
        connection_id: UUID,
        asked: Sequence[str] | None,
        cause: ScanCause = ScanCause.REQUEST,
    ) -> SentryScan:
        """Raises ScanRunning where one is running already."""
        scan_id = make_id()
        if not await queries.insert_scan(session, scan_id, connection_id, list(asked) if asked else None, cause):
            raise ScanRunning
        await self._jobs.enqueue(session, SCAN_JOB, {"scan": str(scan_id), "connection": str(connection_id)})
        scan = await queries.find_scan(session, connection_id, scan_id)
        assert scan is not None
        return scan

    async def _run_job(self, arguments: dict[str, Any]) -> None:
        await self.run(UUID(arguments["connection"]), UUID(arguments["scan"]))
        async with self._database.unit_of_work() as unit:
            await self._jobs.enqueue(unit, WATCH_JOB, key=WATCH_JOB)  # others may wait for this one

    async def run(self, connection_id: UUID, scan_id: UUID) -> None:
        """What goes wrong becomes the scan's failure."""
        try:
            await self._scan(connection_id, scan_id)
        except AppError as error:
            await self._fail(scan_id, error.text)
        except (DatabaseError, PgrestError) as error:
            await self._fail(scan_id, f"The project's database could not be asked: {error.message}.")

    async def _scan(self, connection_id: UUID, scan_id: UUID) -> None:
        async with self._database.read_only() as session:
            scan = await queries.find_scan(session, connection_id, scan_id)
        if scan is None or scan.status != ScanStatus.RUNNING:
            return
        project = await self._projects.get_direct(connection_id)

        def acquire() -> AbstractAsyncContextManager[DbConnection]:
            return project.pool.acquire(SCAN)

        if scan.asked is None:
            async with acquire() as connection:
                catalog = await read_version(connection)  # before it looks: what changes later is another version
            async with self._database.write_now() as unit:
                await note_looking(unit, connection_id, catalog, is_asked=scan.cause == ScanCause.REQUEST)
                await self._history.plan(unit, connection_id)
        schemas = await self._choose_schemas(acquire, connection_id, scan)

        async def note(outcomes: Sequence[RuleOutcome]) -> None:
            await self._update(scan_id, {"rules": [show_outcome(one) for one in outcomes]})

        await self._update(scan_id, {"schemas": list(schemas.names), "schemas_from": schemas.source})
        running = Scan(acquire, note)
        await running.run(list_rules(), schemas.names)
        await running.prove(await self._list_gone(connection_id, schemas.names, running.result))
        lost = await self._changes.list_lost(connection_id, acquire)
        async with self._database.write_now() as unit:
            if not await queries.update_running_scan(unit, scan_id, {}):
                return  # it was given up
            changed = await list_changed_since(unit, connection_id, scan.started_at)
            changes = await store_findings(unit, connection_id, scan_id, schemas.names, running.result, changed)
            await open_lost(unit, lost, scan_id)
            severities = count_severities(running.result)
            rules = [show_outcome(one, severities[one.rule.id]) for one in running.result.outcomes]
            ended = {"status": ScanStatus.DONE, "finished_at": datetime.now(UTC)}
            values = {**ended, "rules": rules, **changes._asdict()}
            await queries.update_running_scan(unit, scan_id, values)
            if scan.asked is None:
                await note_ended(unit, connection_id)
        _log.info("sentry.scanned", connection=str(connection_id), opened=changes.opened, closed=changes.closed)

    async def _choose_schemas(self, acquire: Acquire, connection_id: UUID, scan: SentryScan) -> ExposedSchemas:
        target = await self._targets.get_target(connection_id)
        of_api = target.api.schemas if target.api is not None else None
        async with acquire() as connection:
            return await choose_schemas(connection, scan.asked, target.exposed_schemas, of_api)

    async def _list_gone(
        self, connection_id: UUID, schemas: Sequence[str], result: ScanResult
    ) -> Sequence[tuple[ScannedObject, bool]]:
        """What stored findings are about that a probe can try, of what this scan no longer finds; True for writes."""
        reading = [rule.id for rule in list_rules() if rule.attempts]
        async with self._database.read_only() as session:
            known = await queries.list_unresolved(session, connection_id, reading)
        writing = {rule.id for rule in list_rules() if rule.writes}
        return [(read_object(one), one.rule in writing) for one in list_gone(known, schemas, result)]

    async def _update(self, scan_id: UUID, values: dict[str, Any]) -> None:
        async with self._database.write_now() as session:
            await queries.update_running_scan(session, scan_id, values)

    async def _fail(self, scan_id: UUID, failure: str) -> None:
        ended = {"status": ScanStatus.FAILED, "finished_at": datetime.now(UTC), "failure": failure}
        await self._update(scan_id, ended)

    async def _fail_silent(self) -> None:
        async with self._database.write_now() as session:
            await queries.fail_silent_scans(session, SILENCE, _LOST)


def show_outcome(outcome: RuleOutcome, severities: Mapping[str, int] = _NONE_KNOWN) -> dict[str, Any]:
    """As the API gives it. How bad its findings are is known once all were tried, at the end of a scan."""
    return {
        "rule": outcome.rule.id,
        "state": outcome.state,
        "reason": outcome.reason,
        "findings": len(outcome.found),
        "severities": dict(severities),
        "durationMs": round(outcome.seconds * 1000),
    }


async def get_scan(session: AsyncSession, connection_id: UUID, scan_id: str) -> SentryScan:
    """Raises NotFound."""
    known = parse_id(scan_id)
    found = await queries.find_scan(session, connection_id, known) if known else None
    if found is None:
        raise NotFound("There is no such scan.")
    return found


async def get_finding(session: AsyncSession, connection_id: UUID, finding_id: str) -> FindingDetail:
    """Raises NotFound."""
    known = parse_id(finding_id)
    found = await queries.find_finding(session, connection_id, known) if known else None
    if found is None:
        raise NotFound("There is no such finding.")
    return FindingDetail(
        found,
        await queries.list_events(session, found.id),
        await find_standing(session, found.id, ChangeKind.FIX),
        await find_standing(session, found.id, ChangeKind.QUARANTINE),
    )


# What people decide -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FindingChange:
    """`until` ends an acknowledgement."""

    status: FindingStatus
    reason: str | None = None
    until: datetime | None = None


async def change_finding(
    session: WriteSession, connection_id: UUID, finding_id: str, change: FindingChange, actor: tuple[UUID, str]
) -> None:
    """Acknowledges a finding, or opens it again. Raises NotFound, and Invalid for what only a scan decides."""
    known = parse_id(finding_id)
    found = await queries.find_finding(session, connection_id, known, for_update=True) if known else None
    if found is None:
        raise NotFound("There is no such finding.")
    _check_change(found, change)
    if found.status == change.status and found.acknowledged_until == change.until:
        return
    values = {"status": change.status, "acknowledged_until": change.until}
    await queries.update_finding(session, found.id, values)
    is_open = change.status is FindingStatus.OPEN
    event = {"id": make_id(), "finding_id": found.id, "kind": "opened_again" if is_open else "acknowledged"}
    by = {"reason": change.reason, "actor_id": actor[0], "actor_name": actor[1]}
    await queries.insert_events(session, [{**event, **by}])
    await queries.announce_counts(session, connection_id)


def _check_change(found: SentryFinding, change: FindingChange) -> None:
    if found.status == FindingStatus.QUARANTINED:
        raise Invalid.field("status", "It is in quarantine. Release it first.")
    if change.status is FindingStatus.RESOLVED or found.status == FindingStatus.RESOLVED:
        raise Invalid.field("status", "A finding is resolved by a scan that no longer finds it.")
    if change.status is FindingStatus.ACKNOWLEDGED and not (change.reason or "").strip():
        raise Invalid.field("reason", "Say why it may stay as it is.")
    now = datetime.now(UTC)
    if change.until is not None and not now < change.until < now + MAX_UNTIL:
        raise Invalid.field("until", "Choose a time within the next year.")
