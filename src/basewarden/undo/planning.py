"""From folded changes to a plan: reads (and locks) the rows, decides each, asks for what they need."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from basewarden.journal import Image
from basewarden.pgrest import Name, Schema, Table
from basewarden.undo.back import Found, Place, find_back, place_after, place_before
from basewarden.undo.fold import Folded, NetChange
from basewarden.undo.needs import collect_needs
from basewarden.undo.plan import Need, Plan, RowPlan, decide_row, group_rows, make_conflict, resolve_needs
from basewarden.undo.reading import Key, Reader
from basewarden.undo.values import Conflict


async def make_plan(reader: Reader, schema: Schema, folded: Folded) -> Plan:
    ambiguous = await reader.list_ambiguous()
    found = await _read_current(reader, schema, folded.changes)
    back = find_back(folded.changes, schema, found)
    taken = {place_after(change) for number, change in enumerate(folded.changes) if number not in back}
    regained = {place_before(folded.changes[number]) for number in back}
    rows: list[RowPlan] = []
    conflicts: list[Conflict] = []
    for number, change in enumerate(folded.changes):
        table = schema.tables.get((change.schema, change.table))
        image = _find_row(change, found, taken, regained, is_back=number in back)
        moves = change.before is not None and change.after is not None
        is_ambiguous = (change.schema, change.table) in ambiguous
        decided = _decide(change, table, image, is_ambiguous=is_ambiguous, is_back=moves and number in back)
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


def _find_row(
    change: NetChange,
    found: Found,
    taken: Collection[Place | None],
    regained: Collection[Place | None],
    *,
    is_back: bool,
) -> Image | None:
    """Where the session left it; a deleted one, or one that is back: where it was before."""
    place = place_before(change) if is_back or change.after is None else place_after(change)
    if place is None:
        return None
    if not is_back and place in (taken if change.after is None else regained):
        return None  # another row of the session: it moves away again, or it is back there
    return found.get(place[0], {}).get(place[1])


def _decide(
    change: NetChange, table: Table | None, found: Image | None, *, is_ambiguous: bool, is_back: bool
) -> RowPlan | Conflict:
    decided = decide_row(change, table, found, is_back=is_back)
    if isinstance(decided, RowPlan) and decided.action in ("insert", "delete") and is_ambiguous:
        return make_conflict(change, "Other tables inherit from this one, so it is not known where the row lay.")
    return decided


async def _read_current(
    reader: Reader, schema: Schema, changes: Sequence[NetChange]
) -> Mapping[Name, Mapping[Key, Image]]:
    wanted: dict[Name, list[Key]] = {}
    for change in changes:
        table = schema.tables.get((change.schema, change.table))
        if table is not None and table.key == change.key_columns:
            keys = (key for key in (change.key_after, change.key_before) if key is not None)
            wanted.setdefault(table.qualified, []).extend(keys)
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
