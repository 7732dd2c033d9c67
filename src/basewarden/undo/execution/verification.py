"""Compares rows as an undo reads them back with its plan. Pure.

Triggers may overwrite columns while an undo writes. It is a conflict where a column that the session set is not as
planned; a trigger-set column may stay overwritten, and the receipt says so.
"""

from collections.abc import Collection, Mapping, Sequence

from basewarden.journal import Image
from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.receipt import count_rows

OverwrittenColumns = Mapping[tuple[str, tuple[str, ...], str], int]
"""How many rows of a table (`schema.name`) have these columns overwritten by triggers, and the reason why."""


def list_mismatched_columns(row: RowPlan, image: Image, ignored: Collection[str] = ()) -> tuple[str, ...]:
    """The columns in which `image`, the row as it was read back, differs from the plan."""
    target = row.target or {}
    names = (name for name in (*row.written, *row.kept) if name not in ignored)
    return tuple(name for name in names if image.exact[name] != target[name])


def list_not_restored(row: RowPlan, mismatched: Sequence[str]) -> tuple[str, ...]:
    """Of the mismatched columns, those that make the row a conflict."""
    return tuple(name for name in mismatched if not _may_stay_overwritten(row, name))


def describe_overwritten(overwritten: OverwrittenColumns) -> tuple[str, ...]:
    return tuple(
        f"{', '.join(columns)} of {count_rows(count)} of {table}: a trigger sets it, and {reason}."
        for (table, columns, reason), count in overwritten.items()
    )


def _may_stay_overwritten(row: RowPlan, name: str) -> bool:
    if name in row.edited:
        return False
    change = row.change.columns.get(name)
    return name in row.kept or row.action == "insert" or (change is not None and change.is_trigger_set)
