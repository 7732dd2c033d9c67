"""Finds trigger-set columns that were edited by hand since, as far as their values show it. Pure."""

from basewarden.undo.planning.plan import RowPlan

_DATES = "D"  # pg_type.typcategory of dates and times


def list_manual_edits(row: RowPlan) -> tuple[str, ...]:
    """Columns that must have been set by hand: trigger-set columns that changed while no other column did.

    A whole number that grows is a counter, which also changes when an edit was made and reversed.
    """
    after, now = row.change.after or {}, row.current.exact if row.current is not None else {}
    moved = [name for name in list_watched_columns(row) if now.get(name) != after.get(name)]
    columns = row.change.columns
    trigger_set = tuple(
        name for name in moved if name in columns and columns[name].is_trigger_set and now[name] != columns[name].old
    )
    if row.action != "update" or len(trigger_set) != len(moved):
        return ()
    return tuple(name for name in trigger_set if not _has_grown(columns[name].old, columns[name].new, now[name]))


def _has_grown(*values: str | None) -> bool:
    numbers = [int(value) for value in values if value is not None and value.removeprefix("-").isdecimal()]
    return len(numbers) == len(values) and numbers == sorted(numbers)


def list_watched_columns(row: RowPlan) -> list[str]:
    """The columns that the undo does not write, except times, which the plan keeps in any case."""
    columns = row.table.columns.items()
    return [
        name
        for name, column in columns
        if not column.generated and column.category != _DATES and name not in row.restored and name not in row.table.key
    ]
