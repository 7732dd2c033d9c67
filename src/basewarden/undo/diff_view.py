"""The rows of a table as a diff, for the preview of an undo and for its receipt."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from basewarden.core.addresses import row_path
from basewarden.core.brief import make_brief
from basewarden.core.row_labels import describe_references, find_label
from basewarden.journal import JournalMutation, RecordedRow, split_changed_columns
from basewarden.undo.planning.samples import MAX_COLUMNS, MAX_LABEL, MAX_NEW_COLUMNS, MAX_VALUE, show_short_key
from basewarden.undo.row_samples import TableSample, ValueSample

_NO_VALUES: Mapping[str, str | None] = {}


@dataclass(frozen=True, slots=True)
class DiffRow:
    """`href` leads to the row; None where there is none (yet, or any more). `key` is shown beside the name."""

    name: str
    href: str | None
    action: str
    values: tuple[ValueSample, ...]
    more: int = 0
    derived: tuple[str, ...] = ()
    key: str = ""


@dataclass(frozen=True, slots=True)
class DiffTable:
    """`start` is the number of the first row that is shown."""

    schema: str
    table: str
    inserted: int
    changed: int
    deleted: int
    rows: tuple[DiffRow, ...]
    start: int = 0

    @property
    def count(self) -> int:
        return self.inserted + self.changed + self.deleted

    @property
    def id(self) -> str:
        """The same on every page that shows rows of this table."""
        return "table-" + hashlib.blake2b(f"{self.schema}.{self.table}".encode(), digest_size=6).hexdigest()

    @property
    def after(self) -> int:
        """The number of the first row that is not shown."""
        return self.start + len(self.rows)


def show_sample(connection_id: UUID, sample: TableSample) -> DiffTable:
    """A table of a plan, in which restored rows do not exist yet."""
    rows = tuple(
        DiffRow(
            row.name,
            None if row.action == "insert" else row_path(connection_id, sample.schema, sample.table, row.current_key),
            row.action,
            row.values,
            row.more,
            row.derived,
            row.key,
        )
        for row in sample.rows
    )
    return DiffTable(sample.schema, sample.table, sample.inserted, sample.changed, sample.deleted, rows, sample.start)


def show_mutations(
    connection_id: UUID,
    name: tuple[str, str],
    counts: tuple[int, int, int],
    rows: Sequence[JournalMutation],
    names: Mapping[int, str],
) -> DiffTable:
    """A table of an undo that was done, in which deleted rows exist no more. `names` are by the id() of values."""
    return DiffTable(*name, *counts, tuple(_show_mutation(connection_id, row, names) for row in rows))


def find_recorded(row: JournalMutation) -> RecordedRow:
    """The row before the undo; that of a row that was inserted again, after it."""
    return RecordedRow(row.schema, row.table, row.before_exact or row.after_exact or _NO_VALUES)


def _show_mutation(connection_id: UUID, row: JournalMutation, names: Mapping[int, str]) -> DiffRow:
    before, after = row.before_exact or {}, row.after_exact or {}
    image = after or before
    key = [image.get(column) or "" for column in row.key_columns]
    derived: list[str] = []
    if row.verb == "update":
        named, derived = split_changed_columns(before, after, row.set_columns)
        columns, derived = (named, derived) if named else (derived, [])
    else:
        columns = [name for name, value in image.items() if value is not None and name not in row.key_columns]
    most = MAX_COLUMNS if row.verb == "update" else MAX_NEW_COLUMNS
    values = tuple(
        ValueSample(make_brief(name, MAX_LABEL), _shorten(before.get(name)), _shorten(after.get(name)))
        for name in columns[:most]
    )
    name = (
        find_label(before or after, row.key_columns)
        or names.get(id(before or after))
        or describe_references(before or after, row.key_columns)
        or make_brief(", ".join(key), MAX_LABEL)
    )
    return DiffRow(
        name,
        row_path(connection_id, row.schema, row.table, key) if row.verb != "delete" and key else None,
        row.verb,
        values,
        max(0, len(columns) - most),
        tuple(derived[:MAX_COLUMNS]),
        show_short_key(key, name),
    )


def _shorten(value: str | None) -> str | None:
    return None if value is None else make_brief(value, MAX_VALUE)
