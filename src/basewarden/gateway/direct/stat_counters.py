"""Counts the changes of a write that were not recorded, table by table, from the database session's own statistics.

Recorded are the rows that a request names and those that foreign keys change. Triggers and functions may change others:
the counters say where and how many, so that a receipt can name them. A count is an upper bound: it includes each
version of a row, and what a subtransaction wrote and rolled back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from basewarden.gateway.recording.capturable import changes_not_counted, inserted_not_distinguished
from basewarden.journal import RowChange, UncapturedChanges
from pgrest import Name, Rows, Schema, Statement, Table, set_settings

_TOP = "(SELECT pg_catalog.pg_current_xact_id_if_assigned())"
_NEXT = "(SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog.int8)"
_MOST_AT_ONCE = 1 << 24


def written_here_sql(alias: str) -> str:
    """Whether this transaction wrote a row that it sees, be it in an inner block, which has an id of its own.

    An inner block's id is younger than the transaction's. Seen and still in progress can only be one's own; and of ids
    from the snapshot's next one on, which it is an error to ask after, all are in progress.
    """
    top = f"{_TOP}::pg_catalog.text::pg_catalog.int8"
    younger = f"(pg_catalog.age({_TOP}::pg_catalog.xid)::pg_catalog.int8 - pg_catalog.age({alias}.xmin))"
    status = f"pg_catalog.pg_xact_status(({top} + {younger})::pg_catalog.text::pg_catalog.xid8)"
    return (
        f"CASE WHEN {younger} < 0 THEN false WHEN {younger} = 0 THEN true "
        f"WHEN {top} + {younger} < {_NEXT} THEN {status} = 'in progress' "
        f"ELSE {top} + {younger} < {_NEXT} + {_MOST_AT_ONCE} END"
    )


OWN_NAMES = set_settings({"search_path": "pg_catalog, pg_temp"}, is_guard=True)
"""Before the counters are read: no user-defined function or table is taken for PostgreSQL's own."""

# Everything is named with its schema: a temporary table called pg_class must not be read in its place.
# - Counters that are not flushed yet may be an earlier transaction's: take the difference.
# - TRUNCATE sets them back, but it gives a table a new file and a new row in pg_class. A table that was made here has
#   a new row type, too. What was dropped is still locked. After an ANALYZE of it, both locks are held.
# - Partitions are counted under the name of the table that they are part of.
# - Large objects are rows of a catalogue.
COUNT_CHANGES = Statement(
    f"""
    WITH held AS (
      SELECT l.relation, l.mode FROM pg_catalog.pg_locks AS l
      WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted
        AND l.mode IN ('AccessExclusiveLock', 'ShareUpdateExclusiveLock')
        AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
    ), analyzed AS (SELECT h.relation FROM held AS h GROUP BY h.relation HAVING pg_catalog.count(*) = 2)
    SELECT n.nspname, r.relname, sum(x.inserted), sum(x.updated), sum(x.deleted), sum(x.emptied), sum(x.pages)
    FROM (
      SELECT coalesce(CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid) END, c.oid) AS root, y.*,
             pg_catalog.pg_relation_size(c.oid) / 8192 AS pages
      FROM pg_catalog.pg_class AS c, LATERAL (
        SELECT pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,
               pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS updated,
               pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS deleted,
               CASE WHEN c.relfilenode <> c.oid AND {written_here_sql("c")}
                         AND (c.relpages = 0 AND c.reltuples <= 0 OR c.oid IN (SELECT a.relation FROM analyzed AS a))
                         AND NOT EXISTS (
                           SELECT FROM pg_catalog.pg_type AS t WHERE t.oid = c.reltype AND {written_here_sql("t")})
                    THEN 1 ELSE 0 END AS emptied) AS y
      WHERE c.relkind = 'r' AND c.relpersistence <> 't'
        AND (c.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace
             OR c.oid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass)
        AND y.inserted + y.updated + y.deleted + y.emptied > 0) AS x
    JOIN pg_catalog.pg_class AS r ON r.oid = x.root
    JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
    GROUP BY n.nspname, r.relname
    UNION ALL
    SELECT NULL, h.relation::pg_catalog.text, 0, 0, 0, 1, 0
    FROM held AS h
    WHERE h.mode = 'AccessExclusiveLock'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = h.relation)
    UNION ALL
    SELECT NULL, NULL, 0, 0, 0, 0, 0 WHERE pg_catalog.current_setting('track_counts') <> 'on'
    """
)


@dataclass(frozen=True, slots=True)
class ChangeCount:
    """Row versions by verb; `emptied`: TRUNCATE or DROP removed rows without a count. `pages` is the table's size."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    emptied: bool = False
    pages: int = 0

    def since(self, earlier: "ChangeCount") -> "ChangeCount":
        return ChangeCount(
            max(0, self.inserted - earlier.inserted),
            max(0, self.updated - earlier.updated),
            max(0, self.deleted - earlier.deleted),
            self.emptied,
            self.pages,
        )

    @property
    def total(self) -> int:
        return self.inserted + self.updated + self.deleted + self.emptied


ChangeCounts = Mapping[Name, ChangeCount]


@dataclass(frozen=True, slots=True)
class TrackedRows:
    """Rows of a table that the capture has followed: where they are now, and how many of them were updated."""

    table: Table
    updated: int
    identities: frozenset[tuple[str, ...]]


def read_counts(rows: Rows, schema: Schema) -> ChangeCounts:
    """Raises NotCaptured where the server does not count."""
    counts: dict[Name, ChangeCount] = {}
    for space, name, inserted, updated, deleted, emptied, pages in rows.rows:
        if name is None:
            raise changes_not_counted()
        found = _name_dropped(schema, int(name)) if space is None else (space.decode(), name.decode())
        if found is not None:
            counts[found] = ChangeCount(
                int(inserted or 0), int(updated or 0), int(deleted or 0), int(emptied or 0) > 0, int(pages or 0)
            )
    return counts


def _name_dropped(schema: Schema, oid: int) -> Name | None:
    """None for what is no table that was there before."""
    return next((name for name, table in schema.tables.items() if table.oid == oid), None)


def subtract_counts(later: ChangeCounts, earlier: ChangeCounts) -> ChangeCounts:
    return {name: count.since(earlier.get(name, ChangeCount())) for name, count in later.items()}


def check_fresh(name: Name, counts: ChangeCounts, changes: Iterable[RowChange]) -> None:
    """Raises NotCaptured where a merge would record a row as new that was there: an undo would delete it.

    How many rows it inserted, a setting of the session counts along, and functions of the project's may set that, too.
    """
    recorded = sum(one.verb == "insert" and (one.schema, one.table) == name for one in changes)
    if recorded > counts.get(name, ChangeCount()).inserted:
        raise inserted_not_distinguished(name)


def find_uncaptured(counts: ChangeCounts, changes: Iterable[RowChange], tracked: Sequence[TrackedRows]) -> ChangeCounts:
    """What was counted and is not among `changes`.

    A row that moves to another partition is counted as deleted there and inserted here, and captured as an update.
    """
    captured: dict[Name, list[int]] = {}
    for change in changes:
        by_verb = captured.setdefault((change.schema, change.table), [0, 0, 0])
        by_verb[("insert", "update", "delete").index(change.verb)] += 1
    followed = {one.table.qualified: 0 for one in tracked}
    for one in tracked:
        followed[one.table.qualified] += one.updated
    uncaptured = {}
    for name, count in counts.items():
        inserted, updated, deleted = captured.get(name, (0, 0, 0))
        updated = max(updated, followed.get(name, 0))
        moved = max(0, updated - count.updated)
        known = ChangeCount(inserted + moved, updated, deleted + moved)
        left = count.since(known)
        if left.total:
            uncaptured[name] = left
    return uncaptured


def list_uncaptured(uncaptured: ChangeCounts) -> tuple[UncapturedChanges, ...]:
    """As the journal stores it."""
    return tuple(
        UncapturedChanges(*name, count.inserted, count.updated, count.deleted, count.emptied)
        for name, count in sorted(uncaptured.items())
        if count.total
    )


def count_rows(uncaptured: ChangeCounts) -> int:
    return sum(count.inserted + count.updated + count.deleted for count in uncaptured.values())
