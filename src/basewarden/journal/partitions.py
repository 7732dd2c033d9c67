"""Creates the monthly partitions of the mutations ahead of time."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_MONTHS_AHEAD = 3
_LOCK = 0x6A6F_7572  # only one process at a time creates partitions


def partition_bounds(today: date, months_ahead: int = _MONTHS_AHEAD) -> list[tuple[str, date, date]]:
    """Returns the name, first day and first day after, for this month and the following ones."""
    first = today.replace(day=1)
    bounds = []
    for _ in range(months_ahead + 1):
        following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        bounds.append((f"journal_mutations_{first:%Y_%m}", first, following))
        first = following
    return bounds


async def ensure_partitions(session: AsyncSession) -> None:
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    for name, start, end in partition_bounds(datetime.now(UTC).date()):
        # Names and dates come from the calendar; no part of a request reaches this SQL.
        await session.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF journal_mutations "
                f"FOR VALUES FROM ('{start} 00:00+00') TO ('{end} 00:00+00')"
            )
        )
