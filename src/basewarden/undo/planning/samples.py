"""The first rows of a plan as people read them: the value now, and the restored one. Pure.

They are taken from the rows that the undo writes, so a preview shows nothing else than what will be done.
"""

from collections.abc import Sequence
from typing import Literal

from basewarden.core.brief import make_brief
from basewarden.undo.planning.fold import Values
from basewarden.undo.planning.plan import RowPlan, UndoPlan
from basewarden.undo.row_samples import RowSample, SampleWindow, TableSample, ValueSample

CONFLICTS_SHOWN = 50
ROWS_SHOWN = 20
ROWS_IN_WINDOW = 200
MAX_TABLES = 50
MAX_COLUMNS = 8
MAX_VALUE = 120
MAX_LABEL = 60


def sample_plan(plan: UndoPlan, window: SampleWindow | None = None) -> tuple[TableSample, ...]:
    """The first rows of each table, or those of one window."""
    by_table: dict[tuple[str, str], list[RowPlan]] = {}
    for row in plan.writes:
        by_table.setdefault(row.table.qualified, []).append(row)
    if window is not None:
        rows = by_table.get((window.schema, window.table), [])
        return (_sample(plan, rows, window.start, ROWS_IN_WINDOW),) if rows else ()
    return tuple(_sample(plan, by_table[name], 0, ROWS_SHOWN) for name in sorted(by_table)[:MAX_TABLES])


def name_by_key(columns: Sequence[str], key: Sequence[str]) -> str:
    if len(key) == 1:
        return make_brief(key[0], MAX_LABEL)
    return make_brief(", ".join(f"{name} {value}" for name, value in zip(columns, key, strict=True)), MAX_LABEL)


def _sample(plan: UndoPlan, rows: Sequence[RowPlan], start: int, count: int) -> TableSample:
    table = rows[0].table
    return TableSample(
        table.schema,
        table.name,
        sum(row.action == "insert" for row in rows),
        sum(row.action == "update" for row in rows),
        sum(row.action == "delete" for row in rows),
        tuple(_sample_row(plan, row) for row in rows[start : start + count]),
        start,
    )


def _sample_row(plan: UndoPlan, row: RowPlan) -> RowSample:
    now: Values = row.current.exact if row.current is not None else {}
    restored: Values = row.target or {}
    columns, derived = _list_columns(row, restored or now)
    shown = tuple(
        ValueSample(make_brief(name, MAX_LABEL), _shorten(now.get(name)), _shorten(restored.get(name)))
        for name in columns[:MAX_COLUMNS]
    )
    action: Literal["insert", "update", "delete"] = "update" if row.action == "nothing" else row.action
    key = row.target_key or row.current_key or ()
    name = plan.names.get((row.table.qualified, key)) or name_by_key(row.table.key, key)
    more = max(0, len(columns) - MAX_COLUMNS)
    return RowSample(name, row.current_key or (), action, shown, more, derived[:MAX_COLUMNS])


def _list_columns(row: RowPlan, values: Values) -> tuple[list[str], tuple[str, ...]]:
    """Of an update what is restored, and of that what triggers had set; else the values that say something."""
    if row.action != "update":
        return [name for name, value in values.items() if value is not None and name not in row.table.key], ()
    changes = row.change.columns
    derived = tuple(name for name in row.restored if changes[name].is_trigger_set)
    if len(derived) == len(row.restored):
        return list(row.restored), ()
    return [name for name in row.restored if name not in derived], derived


def _shorten(value: str | None) -> str | None:
    return None if value is None else make_brief(value, MAX_VALUE)
