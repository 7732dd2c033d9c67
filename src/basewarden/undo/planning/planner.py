"""Makes a plan from folded changes: reads (and locks) the rows, decides each, and finds their dependencies."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from basewarden.journal import Image
from basewarden.undo.planning.already_reverted import (
    RowLocation,
    RowsByTable,
    find_reverted,
    location_after,
    location_before,
)
from basewarden.undo.planning.choices import NO_CHOICES, Choices
from basewarden.undo.planning.dependencies import collect_dependencies
from basewarden.undo.planning.fold import Folded, NetChange, Values
from basewarden.undo.planning.moved_rows import find_moved_rows
from basewarden.undo.planning.plan import (
    Dependency,
    RowPlan,
    UndoPlan,
    decide_row,
    digest_plan,
    find_blocked,
    group_rows,
    list_added_columns,
    make_conflict,
)
from basewarden.undo.planning.row_reader import Key, RowReader
from basewarden.undo.receipt import RowConflict
from pgrest import Name, Schema, Table

KEYS_AT_ONCE = 2000


async def make_chosen_plan(reader: RowReader, schema: Schema, folded: Folded, choices: Choices) -> UndoPlan:
    """The plan with `choices`; its digest is that of the plan without them, which a preview's token is bound to."""
    plan = await make_plan(reader, schema, folded)
    if not choices:
        return plan
    return replace(await make_plan(reader, schema, folded, choices), digest=plan.digest)


async def make_plan(reader: RowReader, schema: Schema, folded: Folded, choices: Choices = NO_CHOICES) -> UndoPlan:
    """Long computations run in threads, since sessions may have very many rows."""
    ambiguous = await reader.list_ambiguous_tables()
    found = await _read_current(reader, schema, folded.changes)
    defaults = await _read_defaults(reader, schema, folded.changes)
    decided, conflicts = await asyncio.to_thread(_decide_all, schema, folded, found, defaults, ambiguous, choices)
    rows = await reader.compute_generated(decided)
    dependencies = await collect_dependencies(reader, schema, rows)
    dependencies += await reader.list_further_dependencies(rows, dependencies)
    dependencies += await find_moved_rows(reader, rows, folded.deleted_later)
    return await asyncio.to_thread(_finish_plan, folded, rows, conflicts, dependencies)


def _decide_all(
    schema: Schema,
    folded: Folded,
    found: RowsByTable,
    defaults: Mapping[Name, Values],
    ambiguous: Collection[Name],
    choices: Choices,
) -> tuple[list[RowPlan], list[RowConflict]]:
    """Decides each row by itself; rows that an earlier undo reverted are left out."""
    reverted = find_reverted(folded.changes, schema, found) | folded.undone_earlier
    pending_locations = {
        location_after(change) for number, change in enumerate(folded.changes) if number not in reverted
    }
    reverted_locations = {location_before(folded.changes[number]) for number in reverted}
    rows: list[RowPlan] = []
    conflicts: list[RowConflict] = []
    for number, change in enumerate(folded.changes):
        if number in folded.undone_earlier:
            continue
        name = (change.schema, change.table)
        image = _find_row(change, found, pending_locations, reverted_locations, is_reverted=number in reverted)
        moves = change.before is not None and change.after is not None
        decided = decide_row(
            change,
            schema.tables.get(name),
            image,
            is_reverted=moves and number in reverted,
            defaults=defaults.get(name, {}),
            choices=choices,
        )
        if isinstance(decided, RowPlan) and name in ambiguous:
            decided = _refuse_ambiguous(decided)
        if isinstance(decided, RowConflict):
            conflicts.append(decided)
        else:
            rows.append(decided)
    return rows, conflicts


def _finish_plan(
    folded: Folded, rows: Sequence[RowPlan], conflicts: Sequence[RowConflict], dependencies: Sequence[Dependency]
) -> UndoPlan:
    blocked = find_blocked(rows, dependencies)
    kept = tuple(row for number, row in enumerate(rows) if number not in blocked)
    everything = (*conflicts, *blocked.values())
    plan = UndoPlan(
        kept,
        everything,
        (*folded.irreversible, *_describe_sequences(kept)),
        group_rows(rows, dependencies, blocked),
        _renumber(dependencies, blocked, len(rows)),
        undone_earlier=len(folded.undone_earlier),
        digest=digest_plan(kept, everything),
    )
    plan.tables, plan.already_reverted  # noqa: B018 - computed here, outside the event loop
    return plan


def _renumber(
    dependencies: Sequence[Dependency], blocked: Mapping[int, RowConflict], count: int
) -> tuple[Dependency, ...]:
    """The dependencies that are met, with the numbers of the remaining rows."""
    numbers = {number: place for place, number in enumerate(one for one in range(count) if one not in blocked)}
    return tuple(
        replace(dependency, row=numbers[dependency.row], on=numbers[dependency.on])
        for dependency in dependencies
        if dependency.on is not None and dependency.row in numbers and dependency.on in numbers
    )


def _find_row(
    change: NetChange,
    found: RowsByTable,
    pending_locations: Collection[RowLocation | None],
    reverted_locations: Collection[RowLocation | None],
    *,
    is_reverted: bool,
) -> Image | None:
    """Looks at the key where the session left the row; for a deleted or reverted row, at the key before."""
    place = location_before(change) if is_reverted or change.after is None else location_after(change)
    if place is None:
        return None
    if not is_reverted and place in (pending_locations if change.after is None else reverted_locations):
        return None  # another row of the session, which moves away again or was reverted
    return found.get(place[0], {}).get(place[1])


def _refuse_ambiguous(decided: RowPlan) -> RowPlan | RowConflict:
    if decided.action not in ("insert", "delete"):
        return decided
    return make_conflict(decided.change, "Other tables inherit from this one, so the row's own table is unknown.")


async def _read_defaults(reader: RowReader, schema: Schema, changes: Sequence[NetChange]) -> dict[Name, Values]:
    """The defaults of columns that were added to tables after the session inserted rows there."""
    wanted: dict[Name, set[str]] = {}
    for change in changes:
        table = schema.tables.get((change.schema, change.table))
        if table is not None and (names := list_added_columns(change, table)):
            wanted.setdefault(table.qualified, set()).update(names)
    return {name: await reader.read_defaults(schema.tables[name], sorted(columns)) for name, columns in wanted.items()}


async def _read_current(
    reader: RowReader, schema: Schema, changes: Sequence[NetChange]
) -> Mapping[Name, Mapping[Key, Image]]:
    wanted: dict[Name, set[Key]] = {}
    for change in changes:
        table = schema.tables.get((change.schema, change.table))
        if table is not None and table.key == change.key_columns:
            keys = (key for key in (change.key_after, change.key_before) if key is not None)
            wanted.setdefault(table.qualified, set()).update(keys)
    return {name: await _read_in_parts(reader, schema.tables[name], keys) for name, keys in sorted(wanted.items())}


async def _read_in_parts(reader: RowReader, table: Table, keys: Collection[Key]) -> dict[Key, Image]:
    """Reads in the order of the keys, so that two undos never deadlock."""
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
    return [f"Numbers that {name} took from its sequence are not restored." for name in sorted(drawn)]
