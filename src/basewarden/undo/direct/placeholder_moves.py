"""Moves rows that exchange unique values to placeholder values first.

PostgreSQL checks a unique key that is not deferrable at every row, so two rows cannot swap values in one statement.
Where rows wait for each other in a cycle, or in a long chain, some get a placeholder. Which value the table accepts is
found by trial. Where it accepts none, the row is deleted and inserted again.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from basewarden.undo.direct.placeholder_values import find_free, normalize
from basewarden.undo.direct.replaceable_rows import find_replaceable
from basewarden.undo.direct.run_writes import run_writes
from basewarden.undo.direct.statement_order import PlaceholderState, rank_updates
from basewarden.undo.direct.statements import make_update, merge_steps
from basewarden.undo.direct.unique_collisions import Collision
from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.planning.row_reader import Exact
from pgrest import DatabaseError, DbConnection, ForeignKey, Name, Statement, Table

_SAVE = Statement("SAVEPOINT bw_park")
_RELEASE = Statement("RELEASE SAVEPOINT bw_park")
_ROLL_BACK = Statement("ROLLBACK TO SAVEPOINT bw_park")
_REJECTED_VALUE = ("22", "23", "42804", "P0")
_LONG_CHAIN = 8
_LONGEST_CHAIN = 300
_SMALL_CYCLE = 6


@dataclass(slots=True)
class PlaceholderMoves:
    """The placeholders in place, the order of the updates, and the rows to write by DELETE and INSERT."""

    placeholders: PlaceholderState = field(default_factory=PlaceholderState)
    ranks: dict[int, int] = field(default_factory=dict)
    replaced: set[int] = field(default_factory=set)


async def move_to_placeholders(
    connection: DbConnection, rows: Sequence[RowPlan], collisions: Sequence[Collision]
) -> PlaceholderMoves:
    """Writes placeholders where no order of updates exists; then the rows can be written in the order of `ranks`."""
    moves = PlaceholderMoves()
    left = list(collisions)
    while True:
        moves.ranks, cycles = rank_updates(left)
        chosen = _choose_rows_to_move(left, cycles, moves.ranks)
        if not chosen:
            return moves
        refused = await _move(connection, rows, chosen, left, moves)
        is_needed = bool(cycles) or max(moves.ranks.values()) > _LONGEST_CHAIN
        if refused and is_needed:
            moves.replaced |= await find_replaceable(connection, rows, refused, moves.placeholders)
        gone = chosen - (refused - moves.replaced)
        if not gone:
            return moves  # the write itself will show the database's error
        left = [one for one in left if not (one.holder in gone or one.taker in moves.replaced)]


def _choose_rows_to_move(
    left: Sequence[Collision], cycles: Sequence[Sequence[int]], ranks: Mapping[int, int]
) -> set[int]:
    if cycles:
        return {number for cycle in cycles for number in (cycle[:1] if len(cycle) <= _SMALL_CYCLE else cycle)}
    if max(ranks.values(), default=0) > _LONG_CHAIN:
        return {one.holder for one in left}
    return set()


async def _move(
    connection: DbConnection,
    rows: Sequence[RowPlan],
    chosen: set[int],
    left: Iterable[Collision],
    moves: PlaceholderMoves,
) -> set[int]:
    """Returns the rows for which the database accepts no placeholder."""
    groups: dict[tuple[int, str], set[int]] = {}
    refused = set()
    for one in left:
        if one.holder in chosen:
            column = _choose_column(rows[one.holder], (*one.index.columns, *one.index.sources))
            if column is None:
                refused.add(one.holder)
            else:
                groups.setdefault((rows[one.holder].table.oid, column), set()).add(one.holder)
    for (_, column), numbers in groups.items():
        wanted = sorted(numbers - refused)
        if wanted and not await _move_column(connection, rows, wanted, column, moves.placeholders):
            refused.update(wanted)
    return refused


def _choose_column(row: RowPlan, columns: Iterable[str]) -> str | None:
    """A column that the undo writes anyway, preferably one that no foreign key or primary key uses."""
    free = [
        name
        for name in columns
        if name in row.restored and not row.table.columns[name].generated and row.table.columns[name].identity != "a"
    ]
    return min(free, key=lambda name: _count_references(row.table, name), default=None)


def _count_references(table: Table, name: str) -> tuple[int, bool, bool]:
    ties = sum(name in key.columns for key in table.foreign_keys_out)
    ties += sum(name in key.ref_columns for key in table.foreign_keys_in)
    return ties, name in table.key, not table.columns[name].nullable


async def _move_column(
    connection: DbConnection,
    rows: Sequence[RowPlan],
    numbers: Sequence[int],
    column: str,
    placeholders: PlaceholderState,
) -> bool:
    table = rows[numbers[0]].table
    held = [placeholders.read(rows, number, (column,))[0] for number in numbers]
    taken = await asyncio.to_thread(_list_taken, rows, table, column, held)
    for values in find_free(table.columns[column], held, taken):
        moves = {number: {column: value} for number, value in zip(numbers, values, strict=True)}
        if await _try(connection, rows, _add_children(rows, moves, placeholders), placeholders):
            return True
    return False


def _list_taken(rows: Sequence[RowPlan], table: Table, column: str, held: Iterable[str | None]) -> set[object]:
    """What the rows to move hold, and what all rows will: many, so not on the event loop. NULLs seldom collide."""
    targets = (row.target for row in rows if row.target is not None and row.table.oid == table.oid)
    wanted = (value for target in targets if (value := target.get(column)) is not None)
    return {normalize(table.columns[column], value) for value in (*held, *wanted)}


def _add_children(
    rows: Sequence[RowPlan], moves: Mapping[int, dict[str, str | None]], placeholders: PlaceholderState
) -> dict[int, dict[str, str | None]]:
    """Adds the rows that refer to a moved row, which must change in the same statement."""
    carried = {number: dict(values) for number, values in moves.items()}
    children = _ChildIndex(rows, placeholders)
    waiting = list(carried)
    while waiting:
        parent = waiting.pop()
        for key in rows[parent].table.foreign_keys_in:
            if set(key.ref_columns).isdisjoint(carried[parent]):
                continue
            old = placeholders.read(rows, parent, key.ref_columns)
            new = [carried[parent].get(name, value) for name, value in zip(key.ref_columns, old, strict=True)]
            for number in children.list_of(key, old):
                if number != parent:
                    carried.setdefault(number, {}).update(zip(key.columns, new, strict=True))
                    waiting.append(number)
    return carried


class _ChildIndex:
    """The updates of the undo by the values that they refer to, indexed once for each foreign key."""

    def __init__(self, rows: Sequence[RowPlan], placeholders: PlaceholderState) -> None:
        self._rows = rows
        self._placeholders = placeholders
        self._found: dict[tuple[Name, str], dict[Exact, list[int]]] = {}

    def list_of(self, key: ForeignKey, values: Exact) -> Sequence[int]:
        name = (key.table, key.name)
        if name not in self._found:
            found: dict[Exact, list[int]] = {}
            for number, row in enumerate(self._rows):
                if row.table.qualified == key.table and row.action == "update":
                    found.setdefault(self._placeholders.read(self._rows, number, key.columns), []).append(number)
            self._found[name] = found
        return self._found[name].get(values, ())


async def _try(
    connection: DbConnection,
    rows: Sequence[RowPlan],
    moves: Mapping[int, dict[str, str | None]],
    placeholders: PlaceholderState,
) -> bool:
    groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for number, values in moves.items():
        groups.setdefault((rows[number].table.oid, tuple(values)), []).append(number)
    steps = [
        make_update(
            rows[numbers[0]].table,
            columns,
            {placeholders.find_key(rows, number): tuple(moves[number].values()) for number in numbers},
        )
        for (_, columns), numbers in groups.items()
    ]
    await connection.run([_SAVE])
    try:
        await run_writes(connection, [merge_steps(steps), _RELEASE])
    except DatabaseError as error:
        if not error.sqlstate.startswith(_REJECTED_VALUE):
            raise
        await connection.run([_ROLL_BACK, _RELEASE])
        return False
    for number, values in moves.items():
        placeholders.values.setdefault(number, {}).update(values)
    return True
