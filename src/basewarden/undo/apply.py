"""Carries a plan out in the open transaction, and makes sure that what stands then is what was planned."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from basewarden.journal import Image, RowChange
from basewarden.pgrest import Connection, DatabaseError, Statement, Table
from basewarden.undo.errors import make_failure
from basewarden.undo.parking import park_values
from basewarden.undo.plan import RowPlan, make_conflict
from basewarden.undo.reading import Exact, Key
from basewarden.undo.rows import read_rows
from basewarden.undo.stamps import write_without_triggers
from basewarden.undo.steps import make_steps, make_update, merge_steps, write_alone
from basewarden.undo.values import Conflict, count_rows

_DEFER = Statement("SET CONSTRAINTS ALL DEFERRED")
_CHECK_NOW = Statement("SET CONSTRAINTS ALL IMMEDIATE")
_RACES = ("40001", "40P01", "0A000", "26000")  # the last two: a statement prepared before DDL
_REFUSALS = ("09", "0A", "21", "22", "23", "27", "39", "3D", "3F", "42", "44", "P0")


class Refused(Exception):
    """The database did not take the plan, or did something else; the transaction must be rolled back."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        super().__init__("the plan was refused")
        self.conflicts = tuple(conflicts)


class Raced(Exception):
    """Others were in the way; the same may pass the next time."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What the undo changed, as mutations of its own, and what it had to leave to triggers.

    `unseen` counts what triggers changed beside, by table.
    """

    changes: tuple[RowChange, ...]
    notes: tuple[str, ...]
    unseen: tuple[dict[str, object], ...] = ()


async def apply_rows(connection: Connection, rows: Sequence[RowPlan]) -> Applied:
    """Raises Refused or Raced; all constraints have been checked when it returns."""
    try:
        await _write_rows(connection, rows)
        notes = await _put_right(connection, rows)
    except DatabaseError as error:
        raise explain_error(error) from error
    return Applied(await _read_changes(connection, rows), notes)


async def _write_rows(connection: Connection, rows: Sequence[RowPlan]) -> None:
    parking = park_values(rows)
    await connection.run(
        [
            _DEFER,
            *(write_alone(step) for step in parking.steps),
            merge_steps(make_steps(rows, parking.keys)),
            _CHECK_NOW,
        ]
    )


async def _put_right(connection: Connection, rows: Sequence[RowPlan]) -> tuple[str, ...]:
    """Columns that triggers wrote over are written once more without them. What is left must be stamps."""
    strays = await _find_strays(connection, rows)
    groups: dict[tuple[int, tuple[str, ...]], list[RowPlan]] = {}
    for row, columns in strays:
        groups.setdefault((row.table.oid, columns), []).append(row)
    for (_, columns), group in groups.items():
        await write_without_triggers(connection, make_update(group[0].table, columns, _targets(group, columns)))
    return _describe_left(await _find_strays(connection, [row for row, _ in strays])) if strays else ()


def _targets(rows: Iterable[RowPlan], columns: Sequence[str]) -> Mapping[Key, Exact]:
    return {row.target_key or (): tuple((row.target or {})[name] for name in columns) for row in rows}


async def _find_strays(connection: Connection, rows: Sequence[RowPlan]) -> list[tuple[RowPlan, tuple[str, ...]]]:
    """Rows that do not stand as planned, with the columns in which they differ."""
    found = await _read_all(connection, [(row.table, row.target_key) for row in rows])
    strays = []
    for row in rows:
        if row.target is None:
            continue
        image = found.get(row.table.oid, {}).get(row.target_key or ())
        if image is None:
            raise Refused(
                [make_conflict(row.change, "The database did not take the row back: a trigger or rule stopped it.")]
            )
        columns = tuple(name for name in (*row.written, *row.kept) if image.exact[name] != row.target[name])
        if columns:
            strays.append((row, columns))
    return strays


def _describe_left(strays: Sequence[tuple[RowPlan, tuple[str, ...]]]) -> tuple[str, ...]:
    refused = []
    left: dict[tuple[str, tuple[str, ...]], int] = {}
    for row, columns in strays:
        wrong = tuple(name for name in columns if not _is_stamp(row, name))
        if wrong:
            refused.append(make_conflict(row.change, "A trigger keeps these columns from going back.", wrong))
        else:
            name = f"{row.table.schema}.{row.table.name}"
            left[name, columns] = left.get((name, columns), 0) + 1
    if refused:
        raise Refused(refused)
    return tuple(
        f"{', '.join(columns)} of {count_rows(count)} of {name}: "
        "a trigger sets it, and the connection's role may not switch it off."
        for (name, columns), count in left.items()
    )


def _is_stamp(row: RowPlan, name: str) -> bool:
    if name in row.edited:
        return False
    change = row.change.columns.get(name)
    return name in row.kept or row.action == "insert" or (change is not None and change.is_stamp)


async def _read_changes(connection: Connection, rows: Sequence[RowPlan]) -> tuple[RowChange, ...]:
    found = await _read_all(connection, [(row.table, row.target_key or row.current_key) for row in rows])
    occupied = {(row.table.oid, row.target_key) for row in rows if row.target is not None}
    changes = []
    for row in rows:
        place = row.target_key or row.current_key or ()
        image = found.get(row.table.oid, {}).get(place)
        if row.target is None and image is not None and (row.table.oid, place) not in occupied:
            raise Refused(
                [make_conflict(row.change, "The database did not let the row go: a trigger or rule kept it.")]
            )
        changes.append(_make_change(row, image if row.target is not None else None))
    return tuple(changes)


def _make_change(row: RowPlan, after: Image | None) -> RowChange:
    verb = row.action if row.action != "nothing" else "update"
    stamps = {name for name, change in row.change.columns.items() if change.is_stamp}
    set_columns = tuple(name for name in row.written if name not in stamps)
    return RowChange(row.table.schema, row.table.name, verb, row.table.key, row.current, after, "request", set_columns)


async def _read_all(
    connection: Connection, places: Iterable[tuple[Table, Key | None]]
) -> Mapping[int, Mapping[Key, Image]]:
    tables: dict[int, Table] = {}
    keys: dict[int, list[Key]] = {}
    for table, key in places:
        if key is not None:
            tables[table.oid] = table
            keys.setdefault(table.oid, []).append(key)
    return {oid: await read_rows(connection, tables[oid], keys[oid], lock=False) for oid in tables}


def explain_error(error: DatabaseError) -> Exception:
    """What the database's no means for an undo; never `error` itself, which would become its own cause."""
    if error.sqlstate in _RACES:
        return Raced()
    if not error.sqlstate.startswith(_REFUSALS):
        return make_failure(error.sqlstate)
    fields = error.fields
    reason = f"The database refused it: {error.message}."
    columns = (fields.column,) if fields.column else ()
    return Refused([Conflict(fields.schema or "", fields.table or "", {}, columns, reason)])
