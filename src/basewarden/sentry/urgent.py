"""The open findings of a connection that a person should look at, as the home and the sidebar show them."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from basewarden.db import ReadSession
from basewarden.sentry import queries
from basewarden.sentry.finding_view import FindingLine, show_line
from basewarden.sentry.models import FindingStatus
from basewarden.sentry.rule import Severity
from basewarden.web import RoomCount, RoomCounts

URGENT_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class UrgentFindings:
    """`lines` are the newest of `count` open findings that are critical."""

    lines: tuple[FindingLine, ...] = ()
    count: int = 0

    @property
    def version(self) -> str:
        """Changes when one is found or goes."""
        return f"{self.count}-{self.lines[0].id}" if self.lines else ""


async def read_urgent_findings(db: ReadSession, connection_id: UUID) -> UrgentFindings:
    count = (await queries.count_open_findings(db, connection_id)).get(Severity.CRITICAL, 0)
    if not count:
        return UrgentFindings()
    found = await queries.list_findings(
        db, connection_id, statuses=[FindingStatus.OPEN], severity=Severity.CRITICAL, limit=URGENT_SHOWN
    )
    return UrgentFindings(tuple(map(show_line, found)), count)


async def count_room(db: ReadSession, connection_id: UUID) -> RoomCounts:
    """Counts for the sidebar: what is critical or a warning."""
    counts = await queries.count_open_findings(db, connection_id)
    critical, warnings = counts.get(Severity.CRITICAL, 0), counts.get(Severity.WARNING, 0)
    if not critical + warnings:
        return {}
    words = "open finding" if critical + warnings == 1 else "open findings"
    return {"/sentry": (_make_count(critical + warnings, words, critical),)}


def _make_count(number: int, words: str, critical: int) -> RoomCount:
    if not critical:
        return RoomCount(number, words)
    return RoomCount(number, f"{words}, {'it is' if number == 1 else critical} critical", "urgent")
