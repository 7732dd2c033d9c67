"""The sentry in a person's data export: what is known of connections that they own, and what they decided."""

from contextlib import aclosing
from typing import Any

from sqlalchemy import RowMapping

from basewarden.accounts import ExportPart, ExportRows, Person
from basewarden.connections import Role, list_openable_roles
from basewarden.db import ReadSession
from basewarden.sentry import queries
from basewarden.sentry.models import SentryFinding, SentryScan

_SCAN = (
    "id", "connection_id", "status", "started_at", "finished_at", "schemas", "schemas_from", "rules", "opened",
    "closed", "failure",
)  # fmt: skip
_FINDING = (
    "id", "connection_id", "fingerprint", "rule", "severity", "title", "explanation", "object", "evidence", "request",
    "fix", "status", "first_seen_at", "last_seen_at", "acknowledged_until",
)  # fmt: skip
_EVENT = ("id", "finding_id", "kind", "at", "scan_id", "actor_name", "reason")


async def _list_owned(session: ReadSession, person: Person) -> list[Any]:
    roles = await list_openable_roles(session, person.id)
    return [connection_id for connection_id, role in roles.items() if role is Role.OWNER]


async def _list_scans(session: ReadSession, person: Person) -> ExportRows:
    owned = await _list_owned(session, person)
    async with aclosing(queries.stream_table(session, SentryScan, _SCAN, owned)) as rows:
        async for row in rows:
            yield row


async def _list_findings(session: ReadSession, person: Person) -> ExportRows:
    owned = await _list_owned(session, person)
    async with aclosing(queries.stream_table(session, SentryFinding, _FINDING, owned)) as rows:
        async for row in rows:
            yield row


async def _list_events(session: ReadSession, person: Person) -> ExportRows:
    owned = await _list_owned(session, person)
    async with aclosing(queries.stream_events(session, (*_EVENT, "actor_id"), person.id, owned)) as rows:
        async for row in rows:
            yield _hide_others(row, person)


def _hide_others(row: RowMapping, person: Person) -> dict[str, Any]:
    """What another member decided is theirs."""
    shown = {name: row[name] for name in _EVENT}
    return shown if row["actor_id"] == person.id else {**shown, "actor_name": None, "reason": None}


SENTRY_PARTS = (
    ExportPart(
        "sentryScans",
        "sentry_scans",
        _list_scans,
        _SCAN,
        {"asked": "`schemas` has them", "seen_at": "when its process was last heard of"},
    ),
    ExportPart("sentryFindings", "sentry_findings", _list_findings, _FINDING, {}),
    ExportPart(
        "sentryFindingEvents",
        "sentry_finding_events",
        _list_events,
        _EVENT,
        {"actor_id": "always you, or another member"},
    ),
)
