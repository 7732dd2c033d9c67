"""Counts of what happened on a connection in the last days, for figures and their lines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from basewarden.db import ReadSession
from basewarden.journal.activity import queries
from basewarden.journal.sessions import RUNNING_WITHIN

HOUR = timedelta(hours=1)
HOURS_A_DAY = 24
HOURS_A_PERIOD = 6
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
class HourCounts:
    """One hour: rows that were changed, rows that undos wrote, and requests that were blocked."""

    changed: int
    undone: int
    blocked: int


@dataclass(frozen=True, slots=True)
class ActivityCounts:
    """`hours` are those of the last day, the oldest first.

    `is_cut`: there were more writes than are read, so that the counts are of the newest ones only.
    """

    changed: CountLine
    undone: CountLine
    blocked: CountLine
    hours: tuple[HourCounts, ...]
    active_sessions: int
    is_cut: bool = False


async def count_activity(db: ReadSession, connection_id: UUID) -> ActivityCounts:
    since = datetime.now(UTC) - HOUR * HOURS_A_PERIOD * PERIODS
    writes = await queries.count_writes(db, connection_id, since=since, period=HOUR, limit=MAX_WRITES)
    refusals = await queries.count_refusals(db, connection_id, since=since, period=HOUR)
    changed, undone = _list_hours(writes, "changed"), _list_hours(writes, "undone")
    blocked = _list_hours(refusals, "blocked")
    return ActivityCounts(
        changed=_make_line(changed),
        undone=_make_line(undone),
        blocked=_make_line(blocked),
        hours=tuple(map(HourCounts, *(counts[-HOURS_A_DAY:] for counts in (changed, undone, blocked)))),
        active_sessions=await queries.count_active_sessions(db, connection_id, RUNNING_WITHIN),
        is_cut=bool(writes) and writes[0].read >= MAX_WRITES,
    )


def _list_hours(rows: Iterable[Row[Any]], name: str) -> list[int]:
    """By hour, the oldest first."""
    values = [0] * (HOURS_A_PERIOD * PERIODS)
    for row in rows:
        if row.age < len(values):
            values[-1 - row.age] += int(getattr(row, name))
    return values


def _make_line(hours: Sequence[int]) -> CountLine:
    starts = range(0, len(hours), HOURS_A_PERIOD)
    return CountLine(tuple(sum(hours[start : start + HOURS_A_PERIOD]) for start in starts))
