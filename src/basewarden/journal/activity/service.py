"""Counts of what happened on a connection in the last days, for figures and their lines."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from basewarden.db import ReadSession
from basewarden.journal.activity import queries
from basewarden.journal.sessions import RUNNING_WITHIN

PERIOD = timedelta(hours=6)
PERIODS = 28
"""Seven days; the last day is the last four periods, so figures need no time zone."""
PERIODS_A_DAY = 4
DAYS_OF_A_LINE = 3
MAX_WRITES = 20_000
"""Writes that one page reads; with more in seven days the lines are left out."""


@dataclass(frozen=True, slots=True)
class CountLine:
    """Counts of a thing by period, the oldest first."""

    values: tuple[int, ...]

    @property
    def last_day(self) -> int:
        return sum(self.values[-PERIODS_A_DAY:])

    @property
    def has_course(self) -> bool:
        """True when at least three days have counts; a line of fewer is a spike that says nothing."""
        days = (self.values[start : start + PERIODS_A_DAY] for start in range(0, len(self.values), PERIODS_A_DAY))
        return sum(any(day) for day in days) >= DAYS_OF_A_LINE


@dataclass(frozen=True, slots=True)
class ActivityCounts:
    """`is_cut`: there were more writes than are read, so that the counts are of the newest ones only."""

    changed: CountLine
    undone: CountLine
    blocked: CountLine
    sessions: CountLine
    active_sessions: int
    is_cut: bool = False


async def count_activity(db: ReadSession, connection_id: UUID) -> ActivityCounts:
    since = datetime.now(UTC) - PERIOD * PERIODS
    writes = await queries.count_writes(db, connection_id, since=since, period=PERIOD, limit=MAX_WRITES)
    refusals = await queries.count_refusals(db, connection_id, since=since, period=PERIOD)
    return ActivityCounts(
        changed=_make_line(writes, "changed"),
        undone=_make_line(writes, "undone"),
        blocked=_make_line(refusals, "blocked"),
        sessions=_make_line(writes, "sessions"),
        active_sessions=await queries.count_active_sessions(db, connection_id, RUNNING_WITHIN),
        is_cut=bool(writes) and writes[0].read >= MAX_WRITES,
    )


def _make_line(rows: Iterable[Row[Any]], name: str) -> CountLine:
    values = [0] * PERIODS
    for row in rows:
        if row.age < PERIODS:
            values[PERIODS - 1 - row.age] += int(getattr(row, name))
    return CountLine(tuple(values))
