"""The first rows of a plan as people read them: the value now, and the restored one. Pure.

They are taken from the rows that the undo writes, so a preview shows nothing else than what will be done.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from basewarden.core.brief import make_brief
from basewarden.undo.planning.fold import Values
from basewarden.undo.planning.plan import RowPlan, UndoPlan
from basewarden.undo.receipt import RowConflict
from basewarden.undo.row_samples import RowSample, SampleWindow, TableSample, ValueSample

ROWS_SHOWN = 5
ROWS_IN_WINDOW = 50
MAX_TABLES = 50
MAX_COLUMNS = 8
MAX_NEW_COLUMNS = 3
"""The columns shown of a row that is inserted or deleted."""
MAX_VALUE = 120
MAX_LABEL = 60
SHORT_KEY = 12


def sample_plan(plan: UndoPlan, window: SampleWindow | None = None) -> tuple[TableSample, ...]:
    """The first rows of each table, or those of one window."""
    by_table: dict[tuple[str, str], list[RowPlan]] = {}
    for row in plan.writes:
        by_table.setdefault(row.table.qualified, []).append(row)
    if window is not None:
        rows = by_table.get((window.schema, window.table), [])
        return (_sample(plan, rows, window.start, ROWS_IN_WINDOW),) if rows else ()
    return tuple(_sample(plan, by_table[name], 0, ROWS_SHOWN) for name in sorted(by_table)[:MAX_TABLES])


def sort_conflicts(conflicts: Iterable[RowConflict]) -> list[RowConflict]:
    """By table and reason, as a preview groups them, then by key; whole numbers by their size."""
    return sorted(conflicts, key=lambda one: (one.schema, one.table, one.reason, [(len(key), key) for key in one.key]))


def name_by_key(columns: Sequence[str], key: Sequence[str]) -> str:
    if len(key) == 1:
        return make_brief(key[0], MAX_LABEL)
    return make_brief(", ".join(f"{name} {value}" for name, value in zip(columns, key, strict=True)), MAX_LABEL)


def show_short_key(key: Sequence[str], name: str, *, is_repeated: bool = False) -> str:
    """The key as it is shown beside the name; "" where it is the name, or is long.

    `is_repeated`: other rows have the same name, so a long key is cut instead.
    """
    text = ", ".join(key)
    if text == name or (len(text) > SHORT_KEY and not is_repeated):
        return ""
    return make_brief(text, SHORT_KEY)


def find_repeated(names: Iterable[str]) -> frozenset[str]:
    """The names that occur more than once."""
    return frozenset(name for name, count in Counter(names).items() if count > 1)


def _sample(plan: UndoPlan, rows: Sequence[RowPlan], start: int, count: int) -> TableSample:
    table, shown = rows[0].table, rows[start : start + count]
    repeated = find_repeated(_name_row(plan, row)[0] for row in shown)
    return TableSample(
        table.schema,
        table.name,
        sum(row.action == "insert" for row in rows),
        sum(row.action == "update" for row in rows),
        sum(row.action == "delete" for row in rows),
        tuple(_sample_row(plan, row, repeated) for row in shown),
        start,
        sum((table.qualified, row.target_key or ()) in plan.brought_back for row in rows),
    )


def _name_row(plan: UndoPlan, row: RowPlan) -> tuple[str, tuple[str, ...]]:
    key = row.target_key or row.current_key or ()
    return plan.names.get((row.table.qualified, key)) or name_by_key(row.table.key, key), key


def _sample_row(plan: UndoPlan, row: RowPlan, repeated: Collection[str]) -> RowSample:
    now: Values = row.current.exact if row.current is not None else {}
    restored: Values = row.target or {}
    action: Literal["insert", "update", "delete"] = "update" if row.action == "nothing" else row.action
    name, key = _name_row(plan, row)
    columns, derived = _list_columns(row, restored or now)
    most = MAX_COLUMNS if action == "update" else MAX_NEW_COLUMNS
    if action != "update":
        columns = [column for column in columns if (restored or now)[column] != name]
    undone = plan.brought_back.get((row.table.qualified, row.target_key or ()), {})
    refers = {one.columns[0]: one.ref_table for one in row.table.foreign_keys_out if len(one.columns) == 1}
    shown = tuple(
        ValueSample(
            make_brief(column, MAX_LABEL),
            _shorten(now.get(column)),
            _shorten(restored.get(column)),
            _name_reference(plan, refers.get(column), now.get(column)),
            _name_reference(plan, refers.get(column), restored.get(column)),
            undone.get(column),
        )
        for column in columns[:most]
    )
    more = max(0, len(columns) - most)
    short = show_short_key(key, name, is_repeated=name in repeated)
    return RowSample(name, row.current_key or (), action, shown, more, derived[:MAX_COLUMNS], short)


def _list_columns(row: RowPlan, values: Values) -> tuple[list[str], tuple[str, ...]]:
    """Of an update what is restored, and of that what triggers had set; else the values that say something."""
    if row.action != "update":
        return [name for name, value in values.items() if value is not None and name not in row.table.key], ()
    changes = row.change.columns
    derived = tuple(name for name in row.restored if changes[name].is_trigger_set)
    if len(derived) == len(row.restored):
        return list(row.restored), ()
    return [name for name in row.restored if name not in derived], derived


def _name_reference(plan: UndoPlan, table: tuple[str, str] | None, value: str | None) -> str | None:
    return plan.names.get((table, (value,))) if table is not None and value is not None else None


def _shorten(value: str | None) -> str | None:
    return None if value is None else make_brief(value, MAX_VALUE)
