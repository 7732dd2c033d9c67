"""Row changes from images before and after a write."""

from collections.abc import Iterable, Sequence

from basewarden.journal import Image, RowChange, Verb
from pgrest import Table


def make_row_change(
    table: Table,
    before: Image | None,
    after: Image | None,
    cause: str = "request",
    *,
    set_columns: frozenset[str] | None = None,
) -> RowChange | None:
    """None when nothing about the row changed. `set_columns` are the columns that the request sets."""
    if before is None and after is None:
        return None
    if before is not None and after is not None and before.exact == after.exact:
        return None
    verb: Verb = "insert" if before is None else "delete" if after is None else "update"
    named = tuple(sorted(set_columns)) if set_columns is not None and verb == "update" else None
    return RowChange(table.schema, table.name, verb, table.key, before, after, cause, named)


def drop_unchanged(changes: Iterable[RowChange | None]) -> list[RowChange]:
    return [change for change in changes if change is not None]


def make_intent_changes(table: Table, verb: Verb, before: Sequence[Image]) -> list[RowChange]:
    """The rows that a write is about to change, as they are; what becomes of them is not known yet."""
    return [RowChange(table.schema, table.name, verb, table.key, image, None) for image in before]
