"""Months of mutations: without gaps, ahead of time, made once however many processes begin."""

import asyncio
from datetime import UTC, date, datetime
from itertools import pairwise

import pytest

from basewarden.journal import ensure_partitions
from basewarden.journal.partitions import partition_bounds
from tests.fixtures.journal import JournalDatabase


@pytest.mark.parametrize("today", [date(2026, 1, 31), date(2026, 12, 1), date(2028, 2, 29), date(2026, 10, 15)])
def test_months_meet_and_begin_with_today(today: date) -> None:
    bounds = partition_bounds(today)
    assert len(bounds) == 4
    assert bounds[0][1] <= today < bounds[0][2]
    assert all(before[2] == after[1] for before, after in pairwise(bounds))
    assert all(start.day == end.day == 1 for _, start, end in bounds)
    assert [name for name, *_ in bounds] == sorted({name for name, *_ in bounds})


async def test_many_processes_may_begin_at_once(journal_db: JournalDatabase) -> None:
    await journal_db.rows("SELECT 1")
    for name, *_ in partition_bounds(datetime.now(UTC).date()):
        await journal_db.admin.execute(f"DROP TABLE {name}".encode())

    async def begin() -> None:
        async with journal_db.database.unit_of_work() as unit:
            await ensure_partitions(unit)

    await asyncio.gather(*(begin() for _ in range(8)))
    await begin()
    found = await journal_db.rows("SELECT inhrelid::regclass::text AS n FROM pg_inherits ORDER BY 1")
    names = {name for name, *_ in partition_bounds(datetime.now(UTC).date())}
    assert names <= {row["n"] for row in found}


async def test_a_mutation_finds_its_month(journal_db: JournalDatabase) -> None:
    await (await journal_db.recorder()).record(journal_db.entry(1))
    (row,) = await journal_db.rows("SELECT tableoid::regclass::text AS place, at FROM journal_mutations")
    assert row["place"] == f"journal_mutations_{row['at'].astimezone(UTC):%Y_%m}"
