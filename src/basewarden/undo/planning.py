"""From folded changes to a plan: reads (and locks) the rows, decides each, asks for what they need."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from basewarden.journal import Image
from basewarden.pgrest import Name, Schema, Table
from basewarden.undo.fold import Folded, NetChange
from basewarden.undo.needs import collect_needs
from basewarden.undo.plan import Need, Plan, RowPlan, decide_row, group_rows, make_conflict, resolve_needs
from basewarden.undo.reading import Key, Reader
from basewarden.undo.values import Conflict


async def make_plan(reader: Reader, schema: Schema, folded: Folded) -> Plan:
    ambiguous = await reader.list_ambiguous()
    found = await _read_current(reader, schema, folded.changes)
    taken = {find_place(change) for change in folded.changes if change.after is not None}
    rows: list[RowPlan] = []
    conflicts: list[Conflict] = []
    for change in folded.changes:
        table = schema.tables.get((change.schema, change.table))
        name, key = place = find_place(change)
        moved_there = change.after is None and place in taken  # by the session itself: it moves away again
        image = None if moved_there else found.get(name, {}).get(key)
        decided = _decide(change, table, image, is_ambiguous=name in ambiguous)
        if isinstance(decided, Conflict):
            conflicts.append(decided)
        else:
            rows.append(decided)
    needs = await collect_needs(reader, schema, rows)
    needs += await reader.list_obstacles(rows, needs)
    unmet = resolve_needs(rows, needs)
    kept = tuple(row for number, row in enumerate(rows) if number not in unmet)
    notes = (*folded.irreversible, *_describe_sequences(kept))
    groups = group_rows(rows, needs, unmet)
    return Plan(kept, (*conflicts, *unmet.values()), notes, groups, _renumber(needs, unmet, len(rows)))


def _renumber(needs: Sequence[Need], unmet: Mapping[int, Conflict], count: int) -> tuple[Need, ...]:
    """Those that are met, by the numbers of the rows that are left."""
    numbers = {number: place for place, number in enumerate(one for one in range(count) if one not in unmet)}
    return tuple(
        replace(need, row=numbers[need.row], of=numbers[need.of])
        for need in needs
        if need.of is not None and need.row in numbers and need.of in numbers
    )


def _decide(change: NetChange, table: Table | None, found: Image | None, *, is_ambiguous: bool) -> RowPlan | Conflict:
    decided = decide_row(change, table, found)
    if isinstance(decided, RowPlan) and decided.action in ("insert", "delete") and is_ambiguous:
        return make_conflict(change, "Other tables inherit from this one, so it is not known where the row lay.")
    return decided


def find_place(change: NetChange) -> tuple[Name, Key]:
    """Where the session left the row; a deleted one: where it was."""
    return (change.schema, change.table), change.key_after or change.key_before or ()


async def _read_current(
    reader: Reader, schema: Schema, changes: Sequence[NetChange]
) -> Mapping[Name, Mapping[Key, Image]]:
    wanted: dict[Name, list[Key]] = {}
    for change in changes:
        table = schema.tables.get((change.schema, change.table))
        if table is not None and table.key == change.key_columns:
            wanted.setdefault(table.qualified, []).append(find_place(change)[1])
    return {name: await reader.read_rows(schema.tables[name], keys) for name, keys in sorted(wanted.items())}


def _describe_sequences(rows: Sequence[RowPlan]) -> list[str]:
    drawn = {
        f"{row.table.schema}.{row.table.name}.{column.name}"
        for row in rows
        if row.action == "delete"
        for column in row.table.columns.values()
        if column.identity or (column.default or "").startswith(("nextval(", "pg_catalog.nextval("))
    }
    return [f"Numbers that {name} drew from its sequence are not given back." for name in sorted(drawn)]
