"""The sentry in a person's data export: what is known of connections that they own, and what they decided."""

from contextlib import aclosing
from typing import Any

from sqlalchemy import RowMapping

from basewarden.accounts import ExportPart, ExportRows, Person
from basewarden.connections import Role, list_openable_roles
from basewarden.db import ReadSession
from basewarden.sentry import queries
from basewarden.sentry.changes.queries import stream_changes
from basewarden.sentry.history.queries import stream_heads, stream_versions
from basewarden.sentry.models import SentryFinding, SentryScan
from basewarden.sentry.watching.queries import stream_watches

_SCAN = (
    "id", "connection_id", "status", "cause", "started_at", "finished_at", "schemas", "schemas_from", "rules", "opened",
    "closed", "failure",
)  # fmt: skip
_WATCH = ("connection_id", "schedule", "next_at", "change_at", "attempts")
_HEAD = ("connection_id", "number", "checked_at", "problem")
_VERSION = (
    "id", "connection_id", "number", "at", "added", "changed", "removed", "summary", "cause", "is_shared", "actor_name",
    "session_id", "finding_id",
)  # fmt: skip
_FINDING = (
    "id", "connection_id", "fingerprint", "rule", "severity", "title", "explanation", "object", "evidence", "request",
    "fix", "status", "first_seen_at", "last_seen_at", "acknowledged_until",
)  # fmt: skip
_EVENT = ("id", "finding_id", "kind", "at", "scan_id", "actor_name", "reason", "sql")
_CHANGE = (
    "id", "connection_id", "finding_id", "kind", "status", "target", "sql", "inverse", "before", "after", "actor_name",
    "reason", "started_at", "applied_at", "undone_at", "undone_by_name",
)  # fmt: skip


async def _list_owned(session: ReadSession, person: Person) -> list[Any]:
    roles = await list_openable_roles(session, person.id)
    return [connection_id for connection_id, role in roles.items() if role is Role.OWNER]


async def _list_scans(session: ReadSession, person: Person) -> ExportRows:
    owned = await _list_owned(session, person)
    async with aclosing(queries.stream_table(session, SentryScan, _SCAN, owned)) as rows:
        async for row in rows:
            yield row


async def _list_watches(session: ReadSession, person: Person) -> ExportRows:
    owned = await _list_owned(session, person)
    async with aclosing(stream_watches(session, _WATCH, owned)) as rows:
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


async def _list_changes(session: ReadSession, person: Person) -> ExportRows:
    owned = await _list_owned(session, person)
    columns = (*_CHANGE, "actor_id", "undone_by")
    async with aclosing(stream_changes(session, columns, person.id, owned)) as rows:
        async for row in rows:
            shown = {name: row[name] for name in _CHANGE}
            for by, name in (("actor_id", "actor_name"), ("undone_by", "undone_by_name")):
                if row[by] != person.id:
                    shown[name] = None
            if row["actor_id"] != person.id:
                shown["reason"] = None
            yield shown


async def _list_heads(session: ReadSession, person: Person) -> ExportRows:
    owned = await _list_owned(session, person)
    async with aclosing(stream_heads(session, _HEAD, owned)) as rows:
        async for row in rows:
            yield row


async def _list_versions(session: ReadSession, person: Person) -> ExportRows:
    owned = await _list_owned(session, person)
    async with aclosing(stream_versions(session, (*_VERSION, "user_id"), person.id, owned)) as rows:
        async for row in rows:
            shown = {name: row[name] for name in _VERSION}
            yield shown if row["user_id"] in (person.id, None) else {**shown, "actor_name": None}


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
    ExportPart(
        "sentryWatches",
        "sentry_watches",
        _list_watches,
        _WATCH,
        {"quiet_until": "a pause between scans", "catalog": "a checksum of the project's catalog"},
    ),
    ExportPart("sentryFindings", "sentry_findings", _list_findings, _FINDING, {}),
    ExportPart(
        "sentryFindingEvents",
        "sentry_finding_events",
        _list_events,
        _EVENT,
        {"actor_id": "always you, or another member"},
    ),
    ExportPart(
        "sentryChanges",
        "sentry_changes",
        _list_changes,
        _CHANGE,
        {
            "xid": "the number of a transaction in the project's database",
            "actor_id": "always you, or another member",
            "undone_by": "always you, or another member",
        },
    ),
    ExportPart(
        "schemaHeads",
        "schema_heads",
        _list_heads,
        _HEAD,
        {
            "catalog": "a checksum of the project's catalog",
            "checks": "counts how often the schema was read",
            "next_xid": "the number of a transaction in the project's database",
            "unfinished": "the numbers of transactions in the project's database",
        },
    ),
    ExportPart(
        "schemaVersions",
        "schema_versions",
        _list_versions,
        _VERSION,
        {
            "body": "the structure of the project's own database, which is not about a person",
            "size": "how many bytes that takes",
            "briefs": "`summary` says more",
            "user_id": "always you, or another member",
        },
    ),
)
