"""What was counted beyond what was recorded: looked at closely where that is cheap, and held against the limit."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from basewarden.gateway.capture.images import count_strays, run_as_owner
from basewarden.gateway.capture.traces import Count, Counts, Touched, count_rows
from basewarden.gateway.capture.write import WriteContext
from basewarden.gateway.errors import RowLimit
from pgrest import DbConnection, Name, Table

MOST_PAGES = 16_384
"""A table of up to 128 MB is read through to find the rows that were written; of a larger one the counts are bounds."""


async def refine_surplus(connection: DbConnection, surplus: Counts, touched: Sequence[Touched]) -> Counts:
    """A recorded row that a trigger updates once more is counted twice, and recorded as it ended.

    So in tables with recorded rows, those that were updated beyond them are counted themselves.
    """
    known: dict[Name, set[tuple[str, ...]]] = defaultdict(set)
    tables: dict[Name, Table] = {}
    for one in touched:
        count = surplus.get(one.table.qualified)
        if count is not None and count.updated and count.pages <= MOST_PAGES:
            tables[one.table.qualified] = one.table
            known[one.table.qualified].update(one.identities)
    if not tables:
        return surplus
    answers = await run_as_owner(connection, [count_strays(table, known[name]) for name, table in tables.items()])
    strays = {name: int(rows.rows[0][0] or 0) for name, rows in zip(tables, answers, strict=True)}
    return {name: _refine(count, strays.get(name)) for name, count in surplus.items()}


def _refine(count: Count, strays: int | None) -> Count:
    """Of the rows that are there now some are known to be inserted; the rest were updated."""
    if strays is None:
        return count
    return replace(count, updated=min(count.updated, max(0, strays - count.inserted)))


def check_surplus(context: WriteContext, recorded: int, surplus: Counts) -> None:
    """The limit holds for all that was changed. How many rows an emptied table had, nobody knows."""
    context.check_row_limit(recorded + count_rows(surplus))
    emptied = [name for name, count in surplus.items() if count.emptied]
    if emptied and context.max_rows is not None:
        raise RowLimit(
            "A function or trigger emptied a whole table, whose rows were not counted, so nothing was changed.",
            details={"limit": context.max_rows},
        )
