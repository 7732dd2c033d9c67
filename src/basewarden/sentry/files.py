"""Findings as files: as the API gives them, and as SARIF 2.1.0, which code scanning reads.

A file is written piece by piece, because a large project has thousands of findings. A failure ends it as invalid JSON.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from basewarden import __version__
from basewarden.connections import Connection
from basewarden.db import Database
from basewarden.sentry import queries
from basewarden.sentry.bodies import proven_body
from basewarden.sentry.models import FindingStatus, SentryFinding
from basewarden.sentry.rule import Severity
from basewarden.sentry.rule_pages import list_titles, read_rule_text

SARIF_VERSION: Final = "2.1.0"
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_SECURITY_SEVERITIES: Final = {Severity.CRITICAL: "9.0", Severity.WARNING: "5.0", Severity.INFO: "2.0"}
"""From 0 to 10: code scanning ranks by it."""
_PAGE_ROWS: Final = 200
_UNLISTED: Final = -1
"""of a rule that was first found while the file was written"""
_encode: Final = msgspec.json.encode


async def write_json_file(database: Database, connection: Connection) -> AsyncIterator[bytes]:
    """All findings, the resolved ones too."""
    about = {"id": str(connection.id), "name": connection.name}
    head = {"connection": about, "writtenAt": datetime.now(UTC).isoformat()}
    yield _encode(head).removesuffix(b"}") + b',"findings":['
    comma = b""
    async for finding in _stream(database, connection, is_resolved_too=True):
        yield comma + _encode(proven_body(finding))
        comma = b","
    yield b"]}"


async def write_sarif_file(database: Database, connection: Connection, origin: str) -> AsyncIterator[bytes]:
    """What is not resolved. `origin` is that of the links to the findings' pages."""
    async with database.read_only() as session:
        rules = await queries.list_found_rules(session, connection.id)
    places = {rule: place for place, rule in enumerate(rules)}
    yield _make_sarif_head(connection, rules, origin)
    comma = b""
    async for finding in _stream(database, connection, is_resolved_too=False):
        yield comma + _encode(_make_result(finding, places, f"{origin}/c/{connection.id}/sentry/{finding.id}"))
        comma = b","
    yield b"]}]}"


async def _stream(database: Database, connection: Connection, *, is_resolved_too: bool) -> AsyncIterator[SentryFinding]:
    """Between two pages no connection to our database is held, however slowly the client reads."""
    after = UUID(int=0)
    while True:
        async with database.read_only() as session:
            page = await queries.list_findings_after(
                session, connection.id, after, _PAGE_ROWS, is_resolved_too=is_resolved_too
            )
        for finding in page:
            yield finding
        if len(page) < _PAGE_ROWS:
            return
        after = page[-1].id


def _make_sarif_head(connection: Connection, rules: Sequence[str], origin: str) -> bytes:
    driver = {
        "name": "Basewarden",
        "version": __version__,
        "informationUri": f"{origin}/docs/sentry",
        "rules": [_make_rule(one) for one in rules],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"basewarden/{connection.id}/"},
        "properties": {"connection": connection.name},
    }
    head = _encode({"$schema": _SCHEMA, "version": SARIF_VERSION, "runs": [run]})
    return head.removesuffix(b"}]}") + b',"results":['


def _make_rule(rule_id: str) -> dict[str, Any]:
    title = list_titles().get(rule_id, rule_id)
    text = read_rule_text(rule_id) or title
    return {
        "id": rule_id,
        "shortDescription": {"text": title},
        "help": {"text": text, "markdown": text},
        "properties": {"tags": ["security"]},
    }


def _make_result(finding: SentryFinding, places: Mapping[str, int], page: str) -> dict[str, Any]:
    severity = Severity(finding.severity)
    return {
        "ruleId": finding.rule,
        "ruleIndex": places.get(finding.rule, _UNLISTED),
        "level": _LEVELS[severity],
        "message": {"text": f"{finding.title}. {finding.explanation}"},
        "locations": [{"logicalLocations": [_make_location(finding.object)]}],
        "partialFingerprints": {"basewardenFinding/v1": finding.fingerprint},
        "hostedViewerUri": page,
        "suppressions": _list_suppressions(finding),
        "properties": {
            "id": str(finding.id),  # not as the result's `guid`, for which SARIF's schema has no UUID of version 7
            "severity": severity.value,
            "security-severity": _SECURITY_SEVERITIES[severity],
            "status": finding.current_status,
            "firstSeenAt": finding.first_seen_at.isoformat(),
            "lastSeenAt": finding.last_seen_at.isoformat(),
            "request": finding.request,
            "fix": finding.fix,
        },
    }


def _make_location(found: dict[str, Any]) -> dict[str, Any]:
    name = found["name"] if found.get("arguments") is None else f"{found['name']}({found['arguments']})"
    parts = [one for one in (found["schema"], name, found.get("column")) if one]
    return {"name": parts[-1], "fullyQualifiedName": ".".join(parts), "kind": found["type"]}


def _list_suppressions(finding: SentryFinding) -> list[dict[str, str]]:
    """Of what a person has acknowledged, or has closed for now by a quarantine."""
    if finding.current_status in (FindingStatus.ACKNOWLEDGED, FindingStatus.QUARANTINED):
        return [{"kind": "external", "status": "accepted", "justification": str(finding.current_status)}]
    return []
