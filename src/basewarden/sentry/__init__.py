"""The sentry: finds what strangers can reach in a project's database, and proves it."""

from basewarden.sentry.history.queries import list_versions_by_id
from basewarden.sentry.history.view import describe_version
from basewarden.sentry.models import SchemaVersion, SentryFinding
from basewarden.sentry.queries import list_findings_by_id
from basewarden.sentry.urgent import read_urgent_findings

__all__ = [
    "SchemaVersion",
    "SentryFinding",
    "describe_version",
    "list_findings_by_id",
    "list_versions_by_id",
    "read_urgent_findings",
]
