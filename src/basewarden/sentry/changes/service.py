"""Fixes and quarantines: tried, applied and taken back in a project's database, so that a crash loses none.

What is to be applied is stored with its inverse and the transaction's id before that transaction commits. What became
of it is known from the answer to COMMIT, or later from the database.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from basewarden.accounts import Attempt, Attempts, Limit
from basewarden.connections import ConnectionTargets
from basewarden.core.ids import make_id, parse_id
from basewarden.db import Database
from basewarden.errors import AppError, NotFound
from basewarden.gateway import CHANGE, Projects
from basewarden.jobs import Jobs
from basewarden.sentry import queries
from basewarden.sentry.access.restoring import write_script
from basewarden.sentry.access.state import AccessKey, AccessState, decode_states, encode_states, name_state
from basewarden.sentry.changes import queries as change_queries
from basewarden.sentry.changes.audience import list_agents, list_unknown, list_writers
from basewarden.sentry.changes.bucket_code import check_bucket_code
from basewarden.sentry.changes.committing import check_stamps, commit_change
from basewarden.sentry.changes.failures import explain_failure
from basewarden.sentry.changes.putting import NotRestored, compare, put_back, read_access, read_roles
from basewarden.sentry.changes.quarantining import QuarantineTrial, list_reaching, read_api_roles, try_quarantine
from basewarden.sentry.changes.reconciling import ChangeReconciler
from basewarden.sentry.changes.transaction import ChangeTransaction
from basewarden.sentry.changes.trying import FixTrial, TriedFix, try_fix
from basewarden.sentry.errors import (
    AlreadyQuarantined,
    ChangeRunning,
    FindingClosed,
    FixDrift,
    FixNotReversible,
    FixRefused,
    LoginMayNot,
    NothingToUndo,
    QuarantineDrift,
)
from basewarden.sentry.models import ChangeKind, ChangeStatus, FindingStatus, SentryChange, SentryFinding
from basewarden.sentry.rule import ObjectType
from basewarden.sentry.rules import list_rules
from basewarden.sentry.scans.running import Acquire
from basewarden.sentry.scans.storing import read_object
from pgrest import DatabaseError, DbConnection, PgrestError

HOURLY_PREVIEWS: Final = Limit(120, 60 * 60)
"""Of a connection's members together."""
_ADVICE: Final = "Fixes and quarantines of this connection were tried many times. Wait some minutes and try again."
Actor = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class FixPreview:
    """`breaks` and `unknown` are sentences: what stops working, and what cannot be known."""

    trial: FixTrial
    breaks: Sequence[str]
    unknown: Sequence[str]


@dataclass(frozen=True, slots=True)
class QuarantinePreview:
    """`agents` are the names of those whose requests run as a role that is cut off."""

    trial: QuarantineTrial
    agents: Sequence[str]


class Changes:
    """Changes of a connection run one at a time."""

    def __init__(
        self,
        database: Database,
        jobs: Jobs,
        projects: Projects,
        targets: ConnectionTargets,
        attempts: Attempts,
    ) -> None:
        self._database = database
        self._projects = projects
        self._targets = targets
        self._attempts = attempts
        self.reconciler = ChangeReconciler(database, jobs, projects)

    # Fixes --------------------------------------------------------------------------------------------------

    async def preview_fix(self, connection_id: UUID, finding_id: str) -> FixPreview:
        """Nothing of it is kept. Raises what `apply_fix` does, but for a fix that does not close it, and TooMany."""
        await self._projects.get_direct(connection_id)
        finding = await self._get_open(connection_id, finding_id)
        fix = await self._make_fix(finding)
        await self._limit_previews(connection_id)
        async with self._open(connection_id, fix.sql) as transaction:
            trial = await try_fix(transaction, fix)
        writers = await list_writers(self._database, self._targets, connection_id, trial)
        return FixPreview(trial, [*trial.list_broken(), *writers], list_unknown(trial))

    async def apply_fix(self, connection_id: UUID, finding_id: str, actor: Actor) -> SentryChange:
        await self._projects.get_direct(connection_id)
        finding = await self._get_open(connection_id, finding_id)
        fix = await self._make_fix(finding)
        await self.reconciler.require_none(connection_id)
        async with self._open_to_commit(connection_id, fix.sql) as (transaction, other):
            trial = await try_fix(transaction, fix)
            if not trial.closes:
                raise FixRefused(f"{FixRefused.message} {trial.reason}")
            if trial.inverse is None:
                raise FixNotReversible(f"{FixNotReversible.message} {trial.reason}")
            values = {
                "kind": ChangeKind.FIX,
                "sql": trial.sql,
                "inverse": trial.inverse,
                "target": ", ".join(map(name_state, trial.before)),
                "before": encode_states(trial.before),
                "after": encode_states(trial.after),
            }
            await check_stamps(other, trial.stamps)
            return await self._apply(transaction, finding, values, actor)

    async def undo_fix(self, connection_id: UUID, finding_id: str, actor: Actor) -> None:
        """Raises NothingToUndo, and FixDrift with the difference."""
        await self._projects.get_direct(connection_id)
        await self._undo(connection_id, finding_id, ChangeKind.FIX, actor)

    async def _make_fix(self, finding: SentryFinding) -> TriedFix:
        rule = next((one for one in list_rules() if one.id == finding.rule), None)
        if rule is None or finding.fix is None:
            raise FixRefused("This finding has no fix to run: which change is right, a person must choose.")
        async with self._database.read_only() as session:
            last = await queries.find_last_scan(session, finding.connection_id)
        found = read_object(finding)
        own = found.name if found.type is ObjectType.SCHEMA else found.schema
        asked = last.schemas if last is not None else ["public"]  # perhaps others than the finding's own
        schemas = list(dict.fromkeys([*asked, *([own] if own else ())]))
        return TriedFix(rule, finding.fingerprint, found, schemas, finding.fix)

    # Quarantine ---------------------------------------------------------------------------------------------

    async def preview_quarantine(self, connection_id: UUID, finding_id: str) -> QuarantinePreview:
        await self._projects.get_direct(connection_id)
        finding = await self._get_open(connection_id, finding_id)
        await self._limit_previews(connection_id)
        async with self._open(connection_id, "") as transaction:
            trial = await try_quarantine(transaction, read_object(finding))
        agents = await list_agents(self._database, self._targets, connection_id, trial)
        return QuarantinePreview(trial, agents)

    async def quarantine(
        self, connection_id: UUID, finding_id: str, actor: Actor, reason: str | None = None
    ) -> SentryChange:
        await self._projects.get_direct(connection_id)
        finding = await self._get_open(connection_id, finding_id)
        await self.reconciler.require_none(connection_id)
        async with self._open_to_commit(connection_id, "") as (transaction, other):
            trial = await try_quarantine(transaction, read_object(finding))
            values = {
                "kind": ChangeKind.QUARANTINE,
                "reason": (reason or "").strip() or None,
                "sql": trial.sql,
                "inverse": trial.inverse,
                "target": trial.target,
                "before": encode_states([trial.before]),
                "after": encode_states([trial.after]),
            }
            await check_stamps(other, {trial.before.key: trial.stamp})
            return await self._apply(transaction, finding, values, actor)

    async def release(self, connection_id: UUID, finding_id: str, actor: Actor) -> None:
        """Raises NothingToUndo, and QuarantineDrift with the difference."""
        await self._projects.get_direct(connection_id)
        await self._undo(connection_id, finding_id, ChangeKind.QUARANTINE, actor)

    async def end_quarantine(self, connection_id: UUID, finding_id: str, actor: Actor) -> None:
        """Without a change in the project: for one whose object others have changed meanwhile."""
        finding = await self._get_finding(connection_id, finding_id)
        await self.reconciler.require_none(connection_id)
        async with self._database.write_now() as session:
            await queries.find_finding(session, connection_id, finding.id, for_update=True)
            change = await change_queries.find_standing(session, finding.id, ChangeKind.QUARANTINE)
            if change is None or not await change_queries.end_quarantines(session, [change.id]):
                raise NothingToUndo
            await queries.update_finding(session, finding.id, {"status": FindingStatus.OPEN})
            by = {"actor_id": actor[0], "actor_name": actor[1], "scan_id": None, "sql": None}
            event = {"id": make_id(), "finding_id": finding.id, "kind": "quarantine_ended", **by}
            await queries.insert_events(session, [event])
            await queries.announce_counts(session, connection_id)

    async def list_lost(self, connection_id: UUID, acquire: Acquire) -> list[UUID]:
        """The quarantines whose object the API's roles reach again, or which is gone. For a scan."""
        async with self._database.read_only() as session:
            standing = await change_queries.list_quarantines(session, connection_id, limit=None)
        states = {one.id: decode_states(one.after)[0] for one in standing if one.status == ChangeStatus.APPLIED}
        if not states:
            return []
        async with acquire() as connection:
            found = await read_access(connection, [state.key for state in states.values()])
            roles = await read_api_roles(connection)
            return [
                change_id
                for change_id, state in states.items()
                if state.key not in found or await list_reaching(connection, found[state.key][0], roles)
            ]

    # Applying and taking back -------------------------------------------------------------------------------

    async def _apply(
        self,
        transaction: ChangeTransaction,
        finding: SentryFinding,
        values: Mapping[str, Any],
        actor: Actor,
    ) -> SentryChange:
        change_id, by = make_id(), {"actor_id": actor[0], "actor_name": actor[1]}
        ids = {"id": change_id, "connection_id": finding.connection_id, "finding_id": finding.id}
        running = {"status": ChangeStatus.APPLYING, "xid": await transaction.read_id()}
        async with self._database.write_now() as session:
            if not await change_queries.insert_change(session, {**ids, **by, **running, **values}):
                raise await self._explain_conflict(finding, values)
        await commit_change(self._database, transaction, change_id)
        async with self._database.read_only() as session:
            change = await change_queries.find_change(session, change_id)
        assert change is not None
        return change

    async def _undo(self, connection_id: UUID, finding_id: str, kind: ChangeKind, actor: Actor) -> None:
        finding = await self._get_finding(connection_id, finding_id)
        await self.reconciler.require_none(connection_id)
        async with self._database.read_only() as session:
            change = await change_queries.find_standing(session, finding.id, kind)
        if change is None:
            raise NothingToUndo
        before, after = decode_states(change.before), decode_states(change.after)
        async with self._open_to_commit(connection_id, change.inverse) as (transaction, other):
            stamps = await _check_unchanged(transaction, after, kind)
            login = await read_roles(transaction)
            await check_bucket_code(transaction, before, change.inverse)
            try:
                steps = await put_back(transaction, before, login)
            except NotRestored as error:
                raise LoginMayNot(error.differences, change.inverse) from error
            await check_stamps(other, stamps)
            xid = await transaction.read_id()
            values = {"xid": xid, "undone_by": actor[0], "undone_by_name": actor[1], "inverse": write_script(steps)}
            try:
                async with self._database.write_now() as own:
                    if not await change_queries.begin_undo(own, change.id, values):
                        raise NothingToUndo
            except IntegrityError:
                raise ChangeRunning from None
            await commit_change(self._database, transaction, change.id)

    async def _explain_conflict(self, finding: SentryFinding, values: Mapping[str, Any]) -> AppError:
        async with self._database.read_only() as session:
            standing = await change_queries.list_quarantines(session, finding.connection_id, limit=None)
        is_quarantined = values["kind"] == ChangeKind.QUARANTINE and any(
            one.target == values["target"] and one.status == ChangeStatus.APPLIED for one in standing
        )
        return AlreadyQuarantined() if is_quarantined else ChangeRunning()

    @asynccontextmanager
    async def _open(self, connection_id: UUID, sql: str) -> AsyncIterator[ChangeTransaction]:
        project = await self._projects.get_direct(connection_id)
        try:
            async with project.pool.acquire(CHANGE) as connection, ChangeTransaction.open(connection) as transaction:
                yield transaction
        except (DatabaseError, PgrestError) as error:
            raise explain_failure(error, sql) from error

    @asynccontextmanager
    async def _open_to_commit(
        self, connection_id: UUID, sql: str
    ) -> AsyncIterator[tuple[ChangeTransaction, DbConnection]]:
        """With a connection that sees what is committed.

        It is taken before anything is locked: those who wait for a lock may then have all others.
        """
        project = await self._projects.get_direct(connection_id)
        try:
            async with project.pool.acquire(CHANGE) as other, self._open(connection_id, sql) as transaction:
                yield transaction, other
        except (DatabaseError, PgrestError) as error:
            raise explain_failure(error, sql) from error

    async def _limit_previews(self, connection_id: UUID) -> None:
        """Each locks what it tries to change for a moment, and requests to it wait."""
        await self._attempts.acquire(Attempt("sentry.preview", str(connection_id), HOURLY_PREVIEWS, _ADVICE))

    # Findings, agents and their writes ----------------------------------------------------------------------

    async def _get_finding(self, connection_id: UUID, finding_id: str) -> SentryFinding:
        known = parse_id(finding_id)
        async with self._database.read_only() as session:
            found = await queries.find_finding(session, connection_id, known) if known else None
        if found is None:
            raise NotFound("There is no such finding.")
        return found

    async def _get_open(self, connection_id: UUID, finding_id: str) -> SentryFinding:
        await self.reconciler.try_reconcile(connection_id)
        found = await self._get_finding(connection_id, finding_id)
        if found.status == FindingStatus.QUARANTINED:
            raise FindingClosed("This finding's object is in quarantine. Release it first.")
        if found.status == FindingStatus.RESOLVED:
            raise FindingClosed("This finding is resolved.")
        return found


async def _check_unchanged(
    transaction: ChangeTransaction, after: Sequence[AccessState], kind: ChangeKind
) -> Mapping[AccessKey, str]:
    """Returns the stamps of what is there."""
    found = await read_access(transaction, [state.key for state in after])
    differences = [
        {"object": name_state(state), "difference": text}
        for state in after
        for text in compare(state, found.get(state.key))
    ]
    if differences:
        drift = QuarantineDrift if kind is ChangeKind.QUARANTINE else FixDrift
        texts = " ".join(one["difference"] for one in differences)
        raise drift(f"{drift.message} {texts}", details=differences)
    return {key: stamp for key, (_, stamp) in found.items()}
