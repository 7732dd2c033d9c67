"""The sentry: finds what strangers can reach in a project's database, and proves it."""

from basewarden.sentry.models import SentryFinding
from basewarden.sentry.queries import list_findings_by_id
from basewarden.sentry.urgent import read_urgent_findings

__all__ = ["SentryFinding", "list_findings_by_id", "read_urgent_findings"]
