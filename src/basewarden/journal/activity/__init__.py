"""What has happened on a connection lately: counts for charts, and the newest session of each connection."""

from basewarden.journal.activity.queries import (
    count_rows_written,
    find_progress,
    list_latest_activity,
    list_latest_refusals,
)
from basewarden.journal.activity.service import count_activity
from basewarden.journal.activity.values import LatestActivity, Progress, RowsWritten

__all__ = [
    "LatestActivity",
    "Progress",
    "RowsWritten",
    "count_activity",
    "count_rows_written",
    "find_progress",
    "list_latest_activity",
    "list_latest_refusals",
]
