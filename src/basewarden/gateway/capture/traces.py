"""What a write changed out of the capture's sight: counted from the backend's own statistics, table by table.

Statement capture sees the rows that a request names and what foreign keys do. Triggers and functions may change
others. The counters tell where and how many, so that a receipt can say what it does not hold.
"""

from collections.abc import Iterable

from basewarden.journal import RowChange
from basewarden.pgrest import DatabasePlan, Rows, Schema, Statement, Table

# Counters of this backend that are not flushed yet may be an earlier transaction's: take the difference.
COUNT_CHANGES = Statement(
    """
    SELECT n.nspname, c.relname, x.inserted, x.updated, x.deleted
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
         LATERAL (SELECT pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,
                         pg_stat_get_xact_tuples_updated(c.oid) AS updated,
                         pg_stat_get_xact_tuples_deleted(c.oid) AS deleted) AS x
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND x.inserted + x.updated + x.deleted > 0
    """
)
Name = tuple[str, str]
Counts = dict[Name, tuple[int, int, int]]  # inserted, updated, deleted


def read_counts(rows: Rows) -> Counts:
    counts: Counts = {}
    for schema, table, inserted, updated, deleted in rows.rows:
        name = ((schema or b"").decode(), (table or b"").decode())
        counts[name] = (int(inserted or 0), int(updated or 0), int(deleted or 0))
    return counts


def can_leave_traces(schema: Schema, table: Table) -> bool:
    """Whether a trigger may fire on the table, or on one that foreign keys reach from it."""
    return table.qualified in schema.tables_before_triggers


def calls_functions(plan: DatabasePlan) -> bool:
    """Whether the request itself names code of the database's: a computed column, or a type that it casts to."""
    return any(True for _ in (*plan.functions(), *plan.casts()))


def describe_unseen(
    earlier: Counts, later: Counts, schema: Schema, table: Table | None, changes: Iterable[RowChange]
) -> tuple[dict[str, object], ...]:
    """What the counters have and `changes` have not. `table` is the one that the request wrote to, if any.

    A captured row that is updated twice is captured as it ended, so updates count only where nothing was captured.
    """
    captured: dict[Name, list[int]] = {} if table is None else {table.qualified: [0, 0, 0]}
    for change in changes:
        counted = captured.setdefault((change.schema, change.table), [0, 0, 0])
        counted[("insert", "update", "delete").index(change.verb)] += 1
    unseen = []
    for name, counts in sorted(later.items()):
        inserted, updated, deleted = (
            now - then for now, then in zip(counts, earlier.get(name, (0, 0, 0)), strict=True)
        )
        known = captured.get(name)
        if known is not None:
            inserted, updated, deleted = max(0, inserted - known[0]), 0, max(0, deleted - known[2])
        if inserted + updated + deleted > 0 and not _is_partition_of(schema, name, table):
            unseen.append(
                {"schema": name[0], "table": name[1], "inserted": inserted, "updated": updated, "deleted": deleted}
            )
    return tuple(unseen)


def count_unseen(unseen: Iterable[dict[str, object]]) -> int:
    return sum(value for item in unseen for value in item.values() if isinstance(value, int))


def _is_partition_of(schema: Schema, name: Name, table: Table | None) -> bool:
    """Rows of a partitioned table are counted where they lie; the capture names the table they were written to."""
    found = schema.tables.get(name)
    return table is not None and table.kind == "partitioned" and found is not None and found.is_partition
