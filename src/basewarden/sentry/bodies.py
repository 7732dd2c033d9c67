"""Scans and findings as the API and the pages give them."""

from typing import Any

from basewarden.sentry.models import SentryFinding, SentryScan
from basewarden.sentry.service import FindingDetail


def scan_body(scan: SentryScan) -> dict[str, Any]:
    return {
        "id": str(scan.id),
        "status": scan.status,
        "cause": scan.cause,
        "startedAt": scan.started_at.isoformat(),
        "finishedAt": scan.finished_at.isoformat() if scan.finished_at else None,
        "schemas": scan.schemas,
        "schemasFrom": scan.schemas_from,
        "rules": scan.rules,
        "opened": scan.opened,
        "closed": scan.closed,
        "failure": scan.failure,
    }


def finding_body(finding: SentryFinding) -> dict[str, Any]:
    until = finding.acknowledged_until
    return {
        "id": str(finding.id),
        "fingerprint": finding.fingerprint,
        "rule": finding.rule,
        "severity": finding.severity,
        "title": finding.title,
        "explanation": finding.explanation,
        "object": finding.object,
        "status": finding.current_status,
        "firstSeenAt": finding.first_seen_at.isoformat(),
        "lastSeenAt": finding.last_seen_at.isoformat(),
        "acknowledgedUntil": until.isoformat() if until else None,
    }


def proven_body(finding: SentryFinding) -> dict[str, Any]:
    return {
        **finding_body(finding),
        "evidence": finding.evidence,
        "request": finding.request,
        "fix": {"sql": finding.fix} if finding.fix else None,
    }


def detail_body(found: FindingDetail) -> dict[str, Any]:
    return {
        **proven_body(found.finding),
        "history": [
            {
                "kind": one.kind,
                "at": one.at.isoformat(),
                "by": one.actor_name,
                "reason": one.reason,
                "sql": one.sql,
            }
            for one in found.events
        ],
    }
