"""From folded changes to a plan: reads (and locks) the rows, decides each, asks for what they need."""

from collections.abc import Mapping, Sequence

from basewarden.gateway.capture.images import run_as_owner
from basewarden.journal import Image
from basewarden.pgrest import Connection, Schema, Statement, Table
from basewarden.undo.fold import Folded, NetChange
from basewarden.undo.needs import collect_needs
from basewarden.undo.plan import Plan, RowPlan, decide_row, group_rows, make_conflict, resolve_needs
from basewarden.undo.rows import Key, read_rows
from basewarden.undo.values import Conflict

TableName = tuple[str, str]

_PARENTS_OF_OTHERS = Statement(
    """
    SELECT DISTINCT n.nspname, c.relname FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r'
    """
)


async def make_plan(connection: Connection, schema: Schema, folded: Folded, *, lock: bool) -> Plan:
    """In a transaction of the caller's, which stands under AS_OWNER from here on."""
    (inherited,) = await run_as_owner(connection, [_PARENTS_OF_OTHERS])
    ambiguous = {((name or b"").decode(), (local or b"").decode()) for name, local in inherited.rows}
    found = await _read_current(connection, schema, folded.changes, lock=lock)
    taken = {_find_place(change) for change in folded.changes if change.after is not None}
    rows: list[RowPlan] = []
    conflicts: list[Conflict] = []
    for change in folded.changes:
        table = schema.tables.get((change.schema, change.table))
        name, key = place = _find_place(change)
        moved_there = change.after is None and place in taken  # by the session itself: it moves away again
        image = None if moved_there else found.get(name, {}).get(key)
        decided = _decide(change, table, image, is_ambiguous=name in ambiguous)
        if isinstance(decided, Conflict):
            conflicts.append(decided)
        else:
            rows.append(decided)
    needs = await collect_needs(connection, schema, rows)
    unmet = resolve_needs(rows, needs)
    kept = tuple(row for number, row in enumerate(rows) if number not in unmet)
    notes = (*folded.irreversible, *_describe_sequences(kept))
    return Plan(kept, (*conflicts, *unmet.values()), notes, group_rows(rows, needs, unmet))


def _decide(change: NetChange, table: Table | None, found: Image | None, *, is_ambiguous: bool) -> RowPlan | Conflict:
    decided = decide_row(change, table, found)
    if isinstance(decided, RowPlan) and decided.action in ("insert", "delete") and is_ambiguous:
        return make_conflict(change, "Other tables inherit from this one, so it is not known where the row lay.")
    return decided


def _find_place(change: NetChange) -> tuple[TableName, Key]:
    """Where the session left the row; a deleted one: where it was."""
    return (change.schema, change.table), change.key_after or change.key_before or ()


async def _read_current(
    connection: Connection, schema: Schema, changes: Sequence[NetChange], *, lock: bool
) -> Mapping[TableName, Mapping[Key, Image]]:
    wanted: dict[TableName, list[Key]] = {}
    for change in changes:
        table = schema.tables.get((change.schema, change.table))
        if table is not None and table.key == change.key_columns:
            wanted.setdefault(table.qualified, []).append(_find_place(change)[1])
    return {
        name: await read_rows(connection, schema.tables[name], keys, lock=lock) for name, keys in sorted(wanted.items())
    }


def _describe_sequences(rows: Sequence[RowPlan]) -> list[str]:
    drawn = {
        f"{row.table.schema}.{row.table.name}.{column.name}"
        for row in rows
        if row.action == "delete"
        for column in row.table.columns.values()
        if column.identity or (column.default or "").startswith(("nextval(", "pg_catalog.nextval("))
    }
    return [f"Numbers that {name} drew from its sequence are not given back." for name in sorted(drawn)]
