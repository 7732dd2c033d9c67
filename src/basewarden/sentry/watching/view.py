"""When the next scan is due, and why, as the API and the pages show it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from basewarden.sentry.models import ScanCause, ScanSchedule, SentryWatch

SCHEDULES: Final = ((ScanSchedule.OFF, "Off"), (ScanSchedule.DAILY, "Daily"), (ScanSchedule.HOURLY, "Hourly"))


@dataclass(frozen=True, slots=True)
class ShownWatch:
    """`next_at` None: automatic scans are off, or the first is not planned yet."""

    schedule: ScanSchedule
    next_at: datetime | None = None
    is_failing: bool = False
    has_changed: bool = False

    @property
    def is_off(self) -> bool:
        return self.schedule is ScanSchedule.OFF

    @property
    def is_due(self) -> bool:
        return self.next_at is not None and self.next_at <= datetime.now(UTC)

    def as_body(self) -> dict[str, Any]:
        cause = ScanCause.SCHEMA_CHANGE if self.has_changed else ScanCause.SCHEDULE
        return {
            "schedule": self.schedule.value,
            "nextScanAt": self.next_at.isoformat() if self.next_at else None,
            "nextCause": cause.value if self.next_at else None,
        }


def show_watch(watch: SentryWatch | None) -> ShownWatch:
    """None: a connection that was added a moment ago."""
    if watch is None:
        return ShownWatch(ScanSchedule.DAILY)
    return ShownWatch(ScanSchedule(watch.schedule), watch.due_at, watch.attempts > 0, watch.is_change_next)
