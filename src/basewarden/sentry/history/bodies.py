"""Schema versions as the API gives them."""

from dataclasses import asdict
from typing import Any

from basewarden.sentry.history.service import SchemaDiff
from basewarden.sentry.models import SchemaVersion


def version_body(version: SchemaVersion) -> dict[str, Any]:
    return {
        "number": version.number,
        "at": version.at.isoformat(),
        "by": {
            "cause": version.cause,
            "name": version.actor_name,
            "isShared": version.is_shared,
            "sessionId": str(version.session_id) if version.session_id else None,
            "findingId": str(version.finding_id) if version.finding_id else None,
        },
        "added": version.added,
        "changed": version.changed,
        "removed": version.removed,
        "summary": version.summary,
    }


def diff_body(diff: SchemaDiff, offset: int) -> dict[str, Any]:
    end = offset + len(diff.changes)
    return {
        **version_body(diff.version),
        "from": diff.since.number if diff.since else None,
        "changes": [asdict(one) for one in diff.changes],
        "total": diff.total,
        "nextOffset": end if diff.changes and end < diff.total else None,
    }
