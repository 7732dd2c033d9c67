"""The row changes that an undo journals as its own."""

from basewarden.journal import Image, RowChange
from basewarden.undo.planning.plan import RowPlan


def make_row_change(row: RowPlan, before: Image | None, after: Image | None) -> RowChange:
    """Columns that only triggers had set count as set by triggers in the undo too, so that undoing it restores them."""
    verb = row.action if row.action != "nothing" else "update"
    trigger_set = {name for name, change in row.change.columns.items() if change.is_trigger_set}
    set_columns = tuple(name for name in row.written if name not in trigger_set)
    return RowChange(row.table.schema, row.table.name, verb, row.table.key, before, after, "request", set_columns)
