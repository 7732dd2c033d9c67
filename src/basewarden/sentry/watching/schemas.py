"""What the routes of watching take and answer."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from basewarden.sentry.models import ScanSchedule
from basewarden.web import RequestBody, ResponseBody


class WatchBody(RequestBody):
    schedule: ScanSchedule = Field(description="`off`: no automatic scans, also none after the schema has changed.")


class WatchOut(ResponseBody):
    schedule: ScanSchedule
    next_scan_at: datetime | None = Field(
        description="When the next automatic scan starts; after one that failed, its next attempt."
    )
    next_cause: Literal["schedule", "schema_change"] | None
