"""All SQL about scans and findings."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, and_, case, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import WriteSession, delete_some, notify, stream_by_id
from basewarden.sentry.models import FindingEvent, FindingStatus, ScanCause, ScanStatus, SentryFinding, SentryScan
from basewarden.sentry.rule import ObjectType, Severity
from basewarden.web import COUNTS_TOPIC

_MOST_BY_TABLE = 5_000
_SEVERITIES = {severity.value: number for number, severity in enumerate(Severity)}
_IS_READ = or_(
    *(
        SentryFinding.evidence["probes"].contains([{"outcome": "rows", "as": one, "brought": False}])
        for one in ("anon", "user_a")
    )
)
"""Rows of the project's own."""
_IS_OVER = and_(SentryFinding.status == FindingStatus.ACKNOWLEDGED, SentryFinding.acknowledged_until <= func.now())
_STATUS = case((_IS_OVER, FindingStatus.OPEN.value), else_=SentryFinding.status)
"""As it is now: an acknowledgement ends at its time, and not with the next scan."""
_RANK = case(_SEVERITIES, value=SentryFinding.severity, else_=len(_SEVERITIES))


# Scans ----------------------------------------------------------------------------------------------------


async def insert_scan(
    session: WriteSession,
    scan_id: UUID,
    connection_id: UUID,
    asked: Sequence[str] | None,
    cause: ScanCause,
) -> bool:
    """False where one is running already: of one connection, one scan runs at a time."""
    query = insert_or(SentryScan).values(id=scan_id, connection_id=connection_id, asked=asked, cause=cause)
    return (await session.scalar(query.on_conflict_do_nothing().returning(SentryScan.id))) is not None


async def find_running_scan(session: AsyncSession, connection_id: UUID) -> SentryScan | None:
    query = select(SentryScan).where(SentryScan.connection_id == connection_id, SentryScan.status == ScanStatus.RUNNING)
    return await session.scalar(query)


async def find_scan(session: AsyncSession, connection_id: UUID, scan_id: UUID) -> SentryScan | None:
    return await session.scalar(
        select(SentryScan).where(SentryScan.id == scan_id, SentryScan.connection_id == connection_id)
    )


async def find_last_scan(session: AsyncSession, connection_id: UUID) -> SentryScan | None:
    """The last one that has ended well."""
    query = select(SentryScan).where(SentryScan.connection_id == connection_id, SentryScan.status == ScanStatus.DONE)
    return await session.scalar(query.order_by(SentryScan.id.desc()).limit(1))


async def list_scans(
    session: AsyncSession, connection_id: UUID, limit: int, before: UUID | None = None
) -> Sequence[SentryScan]:
    query = select(SentryScan).where(SentryScan.connection_id == connection_id)
    if before is not None:
        query = query.where(SentryScan.id < before)
    return (await session.scalars(query.order_by(SentryScan.id.desc()).limit(limit))).all()


async def update_running_scan(session: WriteSession, scan_id: UUID, values: Mapping[str, Any]) -> bool:
    """False for one that has ended, or was given up by another process."""
    query = update(SentryScan).where(SentryScan.id == scan_id, SentryScan.status == ScanStatus.RUNNING)
    values_now = {"seen_at": func.now(), **values}
    return (await session.scalar(query.values(values_now).returning(SentryScan.id))) is not None


async def fail_silent_scans(session: WriteSession, silence: timedelta, failure: str) -> int:
    """Ends those whose process is gone."""
    query = update(SentryScan).where(SentryScan.status == ScanStatus.RUNNING, SentryScan.seen_at < func.now() - silence)
    values = {"status": ScanStatus.FAILED, "finished_at": func.now(), "failure": failure}
    return len((await session.scalars(query.values(values).returning(SentryScan.id))).all())


# Findings -------------------------------------------------------------------------------------------------


async def lock_findings(session: WriteSession, connection_id: UUID) -> dict[str, SentryFinding]:
    """All of a connection, by fingerprint, until the end of the transaction."""
    query = select(SentryFinding).where(SentryFinding.connection_id == connection_id).with_for_update()
    return {found.fingerprint: found for found in await session.scalars(query)}


async def insert_findings(session: WriteSession, findings: Sequence[Mapping[str, Any]]) -> None:
    if findings:
        await session.execute(insert(SentryFinding), findings)


async def note_seen(session: WriteSession, connection_id: UUID, fingerprints: Collection[str]) -> None:
    query = update(SentryFinding).where(
        SentryFinding.connection_id == connection_id, SentryFinding.fingerprint == func.any(list(fingerprints))
    )
    await session.execute(query.values(last_seen_at=func.now()))


async def resolve_findings(session: WriteSession, finding_ids: Sequence[UUID]) -> None:
    values = {"status": FindingStatus.RESOLVED, "acknowledged_until": None}
    await session.execute(update(SentryFinding).where(SentryFinding.id == func.any(list(finding_ids))).values(values))


async def list_unresolved(
    session: AsyncSession, connection_id: UUID, rules: Collection[str]
) -> Sequence[SentryFinding]:
    query = select(SentryFinding).where(
        SentryFinding.connection_id == connection_id,
        SentryFinding.status != FindingStatus.RESOLVED,
        SentryFinding.rule.in_(rules),
    )
    return (await session.scalars(query)).all()


async def announce_counts(session: WriteSession, connection_id: UUID) -> None:
    """Other findings are open after this transaction: sidebars count them again."""
    await notify(session, COUNTS_TOPIC, str(connection_id))


async def update_finding(session: WriteSession, finding_id: UUID, values: Mapping[str, Any]) -> None:
    await session.execute(update(SentryFinding).where(SentryFinding.id == finding_id).values(values))


async def insert_events(session: WriteSession, events: Sequence[Mapping[str, Any]]) -> None:
    if events:
        await session.execute(insert(FindingEvent), events)


async def find_finding(
    session: AsyncSession, connection_id: UUID, finding_id: UUID, *, for_update: bool = False
) -> SentryFinding | None:
    query = select(SentryFinding).where(SentryFinding.id == finding_id, SentryFinding.connection_id == connection_id)
    return await session.scalar(query.with_for_update() if for_update else query)


async def list_findings_by_id(session: AsyncSession, finding_ids: Sequence[UUID]) -> Sequence[SentryFinding]:
    return (await session.scalars(select(SentryFinding).where(SentryFinding.id.in_(finding_ids)))).all()


async def list_events(session: AsyncSession, finding_id: UUID) -> Sequence[FindingEvent]:
    """The newest first."""
    query = select(FindingEvent).where(FindingEvent.finding_id == finding_id)
    return (await session.scalars(query.order_by(FindingEvent.id.desc()).limit(200))).all()


async def list_findings(
    session: AsyncSession,
    connection_id: UUID,
    *,
    statuses: Collection[str],
    severity: str | None = None,
    rule: str | None = None,
    is_by_name: bool = False,
    offset: int = 0,
    limit: int,
) -> Sequence[SentryFinding]:
    """The worst first, of those what a probe could read, of those the newest; or by the names of objects first."""
    query = select(SentryFinding).where(SentryFinding.connection_id == connection_id, _STATUS.in_(statuses))
    if severity is not None:
        query = query.where(SentryFinding.severity == severity)
    if rule is not None:
        query = query.where(SentryFinding.rule == rule)
    if is_by_name:
        query = query.order_by(SentryFinding.object["schema"].astext, SentryFinding.object["name"].astext)
    query = query.order_by(_RANK, _IS_READ.desc(), SentryFinding.first_seen_at.desc(), SentryFinding.id)
    return (await session.scalars(query.offset(offset).limit(limit))).all()


async def list_findings_after(
    session: AsyncSession, connection_id: UUID, after: UUID, limit: int, *, is_resolved_too: bool
) -> Sequence[SentryFinding]:
    """In the order in which they were first seen."""
    query = select(SentryFinding).where(SentryFinding.connection_id == connection_id, SentryFinding.id > after)
    if not is_resolved_too:
        query = query.where(SentryFinding.status != FindingStatus.RESOLVED)
    return (await session.scalars(query.order_by(SentryFinding.id).limit(limit))).all()


async def list_open_by_table(session: AsyncSession, connection_id: UUID) -> dict[tuple[str, str], list[SentryFinding]]:
    """The open findings about tables and their columns, by schema and table, the worst first."""
    query = select(SentryFinding).where(SentryFinding.connection_id == connection_id, _STATUS == FindingStatus.OPEN)
    query = query.where(SentryFinding.object["type"].astext == ObjectType.TABLE).order_by(_RANK, SentryFinding.id)
    found: dict[tuple[str, str], list[SentryFinding]] = {}
    for finding in await session.scalars(query.limit(_MOST_BY_TABLE)):
        found.setdefault((finding.object["schema"], finding.object["name"]), []).append(finding)
    return found


async def count_findings(
    session: AsyncSession, connection_id: UUID, rule: str | None = None
) -> dict[tuple[str, str], int]:
    """By status and severity."""
    query = select(_STATUS, SentryFinding.severity, func.count())
    query = query.where(SentryFinding.connection_id == connection_id, *([SentryFinding.rule == rule] if rule else []))
    found = await session.execute(query.group_by(_STATUS, SentryFinding.severity))
    return {(status, severity): count for status, severity, count in found}


async def count_open_findings(session: AsyncSession, connection_id: UUID) -> dict[str, int]:
    """By severity."""
    query = select(SentryFinding.severity, func.count().label("number")).group_by(SentryFinding.severity)
    query = query.where(SentryFinding.connection_id == connection_id, _STATUS == FindingStatus.OPEN)
    return {row.severity: row.number for row in await session.execute(query)}


async def list_found_rules(session: AsyncSession, connection_id: UUID) -> Sequence[str]:
    """The rules that there are findings of."""
    query = select(SentryFinding.rule).where(SentryFinding.connection_id == connection_id)
    return (await session.scalars(query.distinct().order_by(SentryFinding.rule))).all()


async def reopen_expired(session: WriteSession, connection_id: UUID) -> Sequence[UUID]:
    """Of acknowledged ones, those whose time is over."""
    query = update(SentryFinding).where(SentryFinding.connection_id == connection_id, _IS_OVER)
    values = {"status": FindingStatus.OPEN, "acknowledged_until": None}
    return (await session.scalars(query.values(values).returning(SentryFinding.id))).all()


def stream_table(
    session: AsyncSession, model: type[SentryScan | SentryFinding], columns: Sequence[str], owned: Collection[UUID]
) -> AsyncGenerator[RowMapping, None]:
    """Streams the scans or findings of these connections; `columns` must include `id`."""
    table = model.__table__.c
    query = select(*(table[name] for name in columns)).where(table.connection_id.in_(owned))
    return stream_by_id(session, query, table.id)


def stream_events(
    session: AsyncSession, columns: Sequence[str], person_id: UUID, owned: Collection[UUID]
) -> AsyncGenerator[RowMapping, None]:
    """Streams what became of findings of these connections, and what a person decided anywhere."""
    table = FindingEvent.__table__.c
    query = select(*(table[name] for name in columns)).join(SentryFinding, SentryFinding.id == table.finding_id)
    query = query.where((table.actor_id == person_id) | SentryFinding.connection_id.in_(owned))
    return stream_by_id(session, query, table.id)


async def delete_old_scans(session: WriteSession, keep: timedelta, limit: int) -> int:
    is_old = and_(SentryScan.started_at < func.now() - keep, SentryScan.status != ScanStatus.RUNNING)
    return await delete_some(session, SentryScan, is_old, limit)


async def delete_old_findings(session: WriteSession, keep: timedelta, limit: int) -> int:
    """Those that are resolved; their history goes with them."""
    is_old = and_(SentryFinding.last_seen_at < func.now() - keep, SentryFinding.status == FindingStatus.RESOLVED)
    return await delete_some(session, SentryFinding, is_old, limit)


async def anonymise_events(session: WriteSession, person_id: UUID, name: str) -> int:
    """What a person did stays, without who it was."""
    query = update(FindingEvent).where(FindingEvent.actor_id == person_id).values(actor_id=None, actor_name=name)
    return len((await session.scalars(query.returning(FindingEvent.id))).all())
