"""Counts the rows of tables: exactly where that is cheap."""

import asyncio
from collections.abc import Sequence
from time import monotonic

from basewarden.workspace.errors import DataRefused
from basewarden.workspace.kept_counts import Counted, KeptCount
from basewarden.workspace.table_client import TableClient
from pgrest import Name, Table

EXACT_BELOW = 50_000
"""Above this estimate, an exact count is too slow."""
EXACT_SECONDS = 1.0
"""An exact count that takes longer is given up."""
_COUNTED = ("table", "partitioned", "matview")
"""A view of few rows may read many, of which the planner guesses badly; a foreign table asks another server."""
KEPT_SECONDS = 20.0
MOST_COUNTED = 100
"""Tables that are counted for one list."""
_AT_ONCE = 3
"""Counts of one list that run at a time: those that waited long for their turn would be refused."""


def make_count(rows: int | None, *, is_estimate: bool) -> Counted | None:
    return Counted(rows, is_estimate) if rows is not None else None


def keep_count(client: TableClient, table: Table, counted: Counted | None) -> None:
    client.counts[table.qualified] = KeptCount(counted, monotonic())


def are_counts_current(client: TableClient, names: Sequence[Name]) -> bool:
    """Whether each of the tables was counted a moment ago."""
    since = monotonic() - KEPT_SECONDS
    return all((kept := client.counts.get(name)) is not None and kept.at > since for name in names)


async def count_tables(client: TableClient, tables: Sequence[Table]) -> list[Counted | None]:
    """Counts the rows of each table, and keeps the counts; None where the role may not read it, and for views."""
    turn = asyncio.Semaphore(_AT_ONCE)
    return list(await asyncio.gather(*(_count_table(client, table, turn) for table in tables)))


async def _count_table(client: TableClient, table: Table, turn: asyncio.Semaphore) -> Counted | None:
    try:
        async with turn:
            counted = await _count_rows(client, table)
    except DataRefused:
        counted = None
    keep_count(client, table, counted)
    return counted


async def _count_rows(client: TableClient, table: Table) -> Counted | None:
    if table.kind not in _COUNTED:
        return None
    planned = await client.count(table, [], count="planned")
    if planned is not None and planned >= EXACT_BELOW:
        return make_count(planned, is_estimate=True)
    try:
        async with asyncio.timeout(EXACT_SECONDS):
            return make_count(await client.count(table, []), is_estimate=False)
    except TimeoutError:
        return make_count(planned, is_estimate=True)
