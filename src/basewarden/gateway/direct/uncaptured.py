"""Changes that were counted and not recorded: counted exactly where that is cheap, and checked against the limit."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from basewarden.gateway.direct.context import WriteContext
from basewarden.gateway.direct.row_images import count_unmatched, run_as_owner
from basewarden.gateway.direct.stat_counters import ChangeCount, ChangeCounts, TrackedRows, count_rows
from basewarden.policy import RowLimit
from pgrest import DbConnection, Name, Table

MOST_PAGES = 16_384
"""A table of up to 128 MB is read through to find the rows that were written; of a larger one the counts are bounds."""


async def refine_uncaptured(
    connection: DbConnection, uncaptured: ChangeCounts, tracked: Sequence[TrackedRows]
) -> ChangeCounts:
    """A recorded row that a trigger updates once more is counted twice, and recorded as it ended.

    So in tables with recorded rows, those that were updated beyond them are counted themselves.
    """
    known: dict[Name, set[tuple[str, ...]]] = defaultdict(set)
    tables: dict[Name, Table] = {}
    for one in tracked:
        count = uncaptured.get(one.table.qualified)
        if count is not None and count.updated and count.pages <= MOST_PAGES:
            tables[one.table.qualified] = one.table
            known[one.table.qualified].update(one.identities)
    if not tables:
        return uncaptured
    answers = await run_as_owner(connection, [count_unmatched(table, known[name]) for name, table in tables.items()])
    unmatched = {name: int(rows.rows[0][0] or 0) for name, rows in zip(tables, answers, strict=True)}
    return {name: _refine(count, unmatched.get(name)) for name, count in uncaptured.items()}


def _refine(count: ChangeCount, unmatched: int | None) -> ChangeCount:
    """Of the rows that are there now some are known to be inserted; the rest were updated."""
    if unmatched is None:
        return count
    return replace(count, updated=min(count.updated, max(0, unmatched - count.inserted)))


def check_uncaptured(context: WriteContext, recorded: int, uncaptured: ChangeCounts) -> None:
    """The row limit holds for all changes. The number of rows of an emptied table is not known."""
    context.check_row_limit(recorded + count_rows(uncaptured))
    emptied = [name for name, count in uncaptured.items() if count.emptied]
    if emptied and context.max_rows is not None:
        raise RowLimit(
            "A function or trigger truncated a table, whose rows cannot be counted. Nothing was changed.",
            details={"limit": context.max_rows},
        )
