"""What triggers change while an undo puts rows back: counted, reported, and refused where rows would be deleted.

A row that a trigger deletes is in no journal, so no later undo could bring it back.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from basewarden.gateway.capture.traces import COUNT_CHANGES, Counts, can_leave_traces, read_counts
from basewarden.pgrest import Connection, Name, Schema, Statement, array_literal, quote_name
from basewarden.undo.apply import Applied, apply_rows
from basewarden.undo.plan import RowPlan
from basewarden.undo.refused import Refused
from basewarden.undo.values import Conflict, count_rows

Write = Callable[[Connection, Sequence[RowPlan]], Awaitable[Applied]]
_ACTIONS = ("insert", "update", "delete")
# Rows of a partitioned table are counted where they lie.
_FIND_ROOTS = """
    SELECT n.nspname, c.relname, rn.nspname, r.relname
    FROM unnest($1::text[]) AS asked(name)
    JOIN pg_class AS c ON c.oid = to_regclass(asked.name) AND c.relispartition
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_class AS r ON r.oid = pg_partition_root(c.oid) JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
"""
# A row that is seen although its transaction is in progress is one of this transaction, or of a part of it.
_COUNT_WRITTEN_HERE = """
    SELECT count(*) FROM {table} AS bw_row
    WHERE CASE WHEN age(bw_row.xmin) <= age(pg_current_xact_id()::xid) THEN pg_xact_status((
        pg_current_xact_id()::text::int8 + age(pg_current_xact_id()::xid) - age(bw_row.xmin))::text::xid8)
        = 'in progress' ELSE false END
"""


@dataclass(frozen=True, slots=True)
class SideEffect:
    """Rows of one table that were changed and are none of the plan's."""

    table: Name
    inserted: int
    updated: int
    deleted: int

    def body(self) -> dict[str, object]:
        counts = {"inserted": self.inserted, "updated": self.updated, "deleted": self.deleted}
        return {"schema": self.table[0], "table": self.table[1], **counts}


async def apply_counted(
    connection: Connection, schema: Schema, rows: Sequence[RowPlan], *, write: Write = apply_rows
) -> Applied:
    """As `write`; raises Refused also where a trigger deleted rows that are not part of the plan."""
    tables = {row.table.qualified: row.table for row in rows}
    if not any(can_leave_traces(schema, table) for table in tables.values()):
        return await write(connection, rows)
    earlier = await _count(connection)
    applied = await write(connection, rows)
    counted = _subtract(await _count(connection), earlier)
    effects = await _find_effects(connection, await _add_up_partitions(connection, counted, rows), rows)
    lost = [_refuse_loss(effect) for effect in effects if effect.deleted]
    if lost:
        raise Refused(lost)
    return replace(applied, unseen=tuple(effect.body() for effect in effects))


async def _count(connection: Connection) -> Counts:
    (rows,) = await connection.run([COUNT_CHANGES])
    return read_counts(rows)


def _subtract(later: Counts, earlier: Counts) -> dict[Name, tuple[int, ...]]:
    none = (0, 0, 0)
    return {
        name: tuple(now - then for now, then in zip(counts, earlier.get(name, none), strict=True))
        for name, counts in later.items()
    }


async def _add_up_partitions(
    connection: Connection, counted: Mapping[Name, tuple[int, ...]], rows: Sequence[RowPlan]
) -> dict[Name, tuple[int, ...]]:
    """Under the name of the table that was written to."""
    if all(row.table.kind != "partitioned" for row in rows):
        return dict(counted)
    names = array_literal(quote_name(name) for name in counted).encode()
    (found,) = await connection.run([Statement(_FIND_ROOTS, (names,))])
    texts = [tuple((value or b"").decode() for value in row) for row in found.rows]
    roots = {(schema, name): (root_schema, root) for schema, name, root_schema, root in texts}
    written = {row.table.qualified for row in rows}
    total: dict[Name, tuple[int, ...]] = {}
    for name, counts in counted.items():
        place = roots.get(name, name)
        place = place if place in written else name
        total[place] = tuple(sum(pair) for pair in zip(total.get(place, (0, 0, 0)), counts, strict=True))
    return total


async def _find_effects(
    connection: Connection, counted: Mapping[Name, tuple[int, ...]], rows: Sequence[RowPlan]
) -> list[SideEffect]:
    planned: dict[Name, list[RowPlan]] = {}
    for row in rows:
        planned.setdefault(row.table.qualified, []).append(row)
    effects = []
    for name, (inserted, updated, deleted) in sorted(counted.items()):
        effect = SideEffect(name, inserted, updated, deleted)
        if name in planned:
            effect = await _leave_out(connection, effect, planned[name])
        if effect.inserted or effect.updated or effect.deleted:
            effects.append(effect)
    return effects


async def _leave_out(connection: Connection, effect: SideEffect, rows: Sequence[RowPlan]) -> SideEffect:
    """What the undo itself did. It may write a row several times, or delete and insert it; the rows themselves tell."""
    inserts, updates, deletes = (sum(row.action == action for row in rows) for action in _ACTIONS)
    inserted, updated, deleted = effect.inserted - inserts, effect.updated - updates, effect.deleted - deletes
    replaced = max(0, min(inserted, deleted))
    inserted, deleted = max(0, inserted - replaced), max(0, deleted - replaced)
    if updated <= 0 and not inserted and not replaced:
        return SideEffect(effect.table, 0, 0, deleted)
    statement = Statement(_COUNT_WRITTEN_HERE.format(table=quote_name(effect.table)))
    (counted,) = await connection.run([statement])
    others = int(counted.rows[0][0] or 0) - sum(row.target is not None for row in rows)
    return SideEffect(effect.table, inserted, max(0, others - inserted), deleted)


def _refuse_loss(effect: SideEffect) -> Conflict:
    schema, table = effect.table
    count = count_rows(effect.deleted)
    reason = f"A trigger would delete {count} of {schema}.{table} that this session did not write."
    return Conflict(schema, table, {}, (), reason)
