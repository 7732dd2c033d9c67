"""From folded changes to a plan: reads (and locks) the rows, decides each, asks for what they need."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from basewarden.journal import Image
from basewarden.undo.planning.already_reverted import Found, Place, find_back, place_after, place_before
from basewarden.undo.planning.dependencies import collect_needs
from basewarden.undo.planning.fold import Folded, NetChange, Values
from basewarden.undo.planning.moved_rows import find_moved
from basewarden.undo.planning.plan import (
    Need,
    RowPlan,
    UndoPlan,
    decide_row,
    digest_plan,
    group_rows,
    list_added,
    make_conflict,
    resolve_needs,
)
from basewarden.undo.planning.row_reader import Key, Reader
from basewarden.undo.receipt import RowConflict
from pgrest import Name, Schema, Table

KEYS_AT_ONCE = 2000


async def make_plan(reader: Reader, schema: Schema, folded: Folded) -> UndoPlan:
    """What takes time without waiting runs beside the event loop: sessions may have very many rows."""
    ambiguous = await reader.list_ambiguous()
    found = await _read_current(reader, schema, folded.changes)
    defaults = await _read_defaults(reader, schema, folded.changes)
    rows, conflicts = await asyncio.to_thread(_decide_all, schema, folded, found, defaults, ambiguous)
    needs = await collect_needs(reader, schema, rows)
    needs += await reader.list_obstacles(rows, needs)
    needs += await find_moved(reader, rows)
    return await asyncio.to_thread(_finish_plan, folded, rows, conflicts, needs)


def _decide_all(
    schema: Schema, folded: Folded, found: Found, defaults: Mapping[Name, Values], ambiguous: Collection[Name]
) -> tuple[list[RowPlan], list[RowConflict]]:
    """Each row by itself; those that an earlier undo put back are left out."""
    back = find_back(folded.changes, schema, found) | folded.done
    taken = {place_after(change) for number, change in enumerate(folded.changes) if number not in back}
    regained = {place_before(folded.changes[number]) for number in back}
    rows: list[RowPlan] = []
    conflicts: list[RowConflict] = []
    for number, change in enumerate(folded.changes):
        if number in folded.done:
            continue
        name = (change.schema, change.table)
        image = _find_row(change, found, taken, regained, is_back=number in back)
        moves = change.before is not None and change.after is not None
        decided = decide_row(
            change, schema.tables.get(name), image, is_back=moves and number in back, defaults=defaults.get(name, {})
        )
        if isinstance(decided, RowPlan) and name in ambiguous:
            decided = _refuse_ambiguous(decided)
        if isinstance(decided, RowConflict):
            conflicts.append(decided)
        else:
            rows.append(decided)
    return rows, conflicts


def _finish_plan(
    folded: Folded, rows: Sequence[RowPlan], conflicts: Sequence[RowConflict], needs: Sequence[Need]
) -> UndoPlan:
    unmet = resolve_needs(rows, needs)
    kept = tuple(row for number, row in enumerate(rows) if number not in unmet)
    everything = (*conflicts, *unmet.values())
    plan = UndoPlan(
        kept,
        everything,
        (*folded.irreversible, *_describe_sequences(kept)),
        group_rows(rows, needs, unmet),
        _renumber(needs, unmet, len(rows)),
        done=len(folded.done),
        digest=digest_plan(kept, everything),
    )
    plan.tables, plan.already  # noqa: B018 - counted here, where nobody waits for it
    return plan


def _renumber(needs: Sequence[Need], unmet: Mapping[int, RowConflict], count: int) -> tuple[Need, ...]:
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


def _refuse_ambiguous(decided: RowPlan) -> RowPlan | RowConflict:
    if decided.action not in ("insert", "delete"):
        return decided
    return make_conflict(decided.change, "Other tables inherit from this one, so it is not known where the row lay.")


async def _read_defaults(reader: Reader, schema: Schema, changes: Sequence[NetChange]) -> dict[Name, Values]:
    """Of the columns that tables got after the session inserted rows into them."""
    wanted: dict[Name, set[str]] = {}
    for change in changes:
        table = schema.tables.get((change.schema, change.table))
        if table is not None and (names := list_added(change, table)):
            wanted.setdefault(table.qualified, set()).update(names)
    return {name: await reader.read_defaults(schema.tables[name], sorted(columns)) for name, columns in wanted.items()}


async def _read_current(
    reader: Reader, schema: Schema, changes: Sequence[NetChange]
) -> Mapping[Name, Mapping[Key, Image]]:
    wanted: dict[Name, set[Key]] = {}
    for change in changes:
        table = schema.tables.get((change.schema, change.table))
        if table is not None and table.key == change.key_columns:
            keys = (key for key in (change.key_after, change.key_before) if key is not None)
            wanted.setdefault(table.qualified, set()).update(keys)
    return {name: await _read_in_parts(reader, schema.tables[name], keys) for name, keys in sorted(wanted.items())}


async def _read_in_parts(reader: Reader, table: Table, keys: Collection[Key]) -> dict[Key, Image]:
    """Always in one order, so that two undos never wait for each other's rows in a circle."""
    found: dict[Key, Image] = {}
    for part in _split(sorted(keys)):
        found.update(await reader.read_rows(table, part))
    return found


def _split(keys: Sequence[Key]) -> list[Sequence[Key]]:
    return [keys[start : start + KEYS_AT_ONCE] for start in range(0, len(keys), KEYS_AT_ONCE)]


def _describe_sequences(rows: Sequence[RowPlan]) -> list[str]:
    drawn = {
        f"{row.table.schema}.{row.table.name}.{column.name}"
        for row in rows
        if row.action == "delete"
        for column in row.table.columns.values()
        if column.identity or (column.default or "").startswith(("nextval(", "pg_catalog.nextval("))
    }
    return [f"Numbers that {name} drew from its sequence are not given back." for name in sorted(drawn)]
