"""The rows of a table as a diff, for the preview of an undo and for its receipt."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from basewarden.core.addresses import row_path
from basewarden.core.brief import make_brief
from basewarden.core.row_labels import describe_references, find_label
from basewarden.journal import NO_NAMES, JournalMutation, NamedRow, RecordedRow, split_changed_columns
from basewarden.undo.planning.samples import (
    MAX_COLUMNS,
    MAX_LABEL,
    MAX_NEW_COLUMNS,
    MAX_VALUE,
    find_repeated,
    show_short_key,
)
from basewarden.undo.row_samples import TableSample, ValueSample

_PUBLIC = re.compile(r"\bpublic\.(?=\w)")
_NO_VALUES: Mapping[str, str | None] = {}
ImageNames = Mapping[int, NamedRow]
"""Names by the id() of a row's recorded values."""


def leave_out_schema(lines: Iterable[str], tables: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Sentences without `public.` where it is the only schema."""
    if any(schema != "public" for schema, _ in tables):
        return tuple(lines)
    return tuple(_PUBLIC.sub("", line) for line in lines)


def make_table_id(schema: str, table: str) -> str:
    """The same on every page that shows rows of this table."""
    return "table-" + hashlib.blake2b(f"{schema}.{table}".encode(), digest_size=6).hexdigest()


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
    undone: int = 0

    @property
    def count(self) -> int:
        return self.inserted + self.changed + self.deleted

    @property
    def id(self) -> str:
        return make_table_id(self.schema, self.table)

    @property
    def after(self) -> int:
        """The number of the first row that is not shown."""
        return self.start + len(self.rows)


@dataclass(frozen=True, slots=True)
class CascadedTables:
    """The tables that a session changed by foreign keys only, as one part of a page."""

    tables: tuple[DiffTable, ...]
    id: str = "table-by-foreign-keys"

    @property
    def inserted(self) -> int:
        return sum(table.inserted for table in self.tables)

    @property
    def changed(self) -> int:
        return sum(table.changed for table in self.tables)

    @property
    def deleted(self) -> int:
        return sum(table.deleted for table in self.tables)

    @property
    def undone(self) -> int:
        return sum(table.undone for table in self.tables)

    @property
    def count(self) -> int:
        return self.inserted + self.changed + self.deleted


def arrange_tables(
    tables: Sequence[DiffTable], own: Sequence[tuple[str, str]]
) -> tuple[tuple[DiffTable, ...], CascadedTables | None]:
    """First the tables that the session wrote itself, in the order of `own`; a single other one is listed with them."""
    place = {name: number for number, name in enumerate(own)}
    first = sorted(tables, key=lambda one: place.get((one.schema, one.table), len(place)))
    count = sum((one.schema, one.table) in place for one in tables)
    if not count or len(first) - count < 2:
        return tuple(first), None
    return tuple(first[:count]), CascadedTables(tuple(first[count:]))


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
    counts = (sample.inserted, sample.changed, sample.deleted)
    return DiffTable(sample.schema, sample.table, *counts, rows, sample.start, sample.undone)


def show_mutations(
    connection_id: UUID,
    name: tuple[str, str],
    counts: tuple[int, int, int],
    rows: Sequence[JournalMutation],
    names: ImageNames,
) -> DiffTable:
    """A table of an undo that was done, in which deleted rows exist no more. `names` are by the id() of values."""
    repeated = find_repeated(_name_mutation(row, names)[0] for row in rows)
    return DiffTable(*name, *counts, tuple(_show_mutation(connection_id, row, names, repeated) for row in rows))


def list_recorded(row: JournalMutation) -> list[RecordedRow]:
    """The row before the undo and after it, as far as there was one."""
    return [RecordedRow(row.schema, row.table, image) for image in (row.before_exact, row.after_exact) if image]


def name_image(names: ImageNames, image: Mapping[str, str | None], key_columns: Sequence[str]) -> str | None:
    """What people call the row: as the project names it, else by its values alone."""
    named = names.get(id(image), NO_NAMES)
    return named.own or named.reference or find_label(image, key_columns) or describe_references(image, key_columns)


def _name_mutation(row: JournalMutation, names: ImageNames) -> tuple[str, list[str]]:
    image = row.after_exact or row.before_exact or _NO_VALUES
    key = [image.get(column) or "" for column in row.key_columns]
    return name_image(names, image, row.key_columns) or make_brief(", ".join(key), MAX_LABEL), key


def _show_mutation(connection_id: UUID, row: JournalMutation, names: ImageNames, repeated: Collection[str]) -> DiffRow:
    before, after = row.before_exact or _NO_VALUES, row.after_exact or _NO_VALUES
    image = after or before
    name, key = _name_mutation(row, names)
    now_names, restored_names = (names.get(id(one), NO_NAMES).values for one in (before, after))
    derived: list[str] = []
    if row.verb == "update":
        named, derived = split_changed_columns(before, after, row.set_columns)
        columns, derived = (named, derived) if named else (derived, [])
    else:
        columns = [one for one, value in image.items() if value not in (None, name) and one not in row.key_columns]
    most = MAX_COLUMNS if row.verb == "update" else MAX_NEW_COLUMNS
    values = tuple(
        ValueSample(
            make_brief(one, MAX_LABEL),
            _shorten(before.get(one)),
            _shorten(after.get(one)),
            now_names.get(one),
            restored_names.get(one),
        )
        for one in columns[:most]
    )
    return DiffRow(
        name,
        row_path(connection_id, row.schema, row.table, key) if row.verb != "delete" and key else None,
        row.verb,
        values,
        max(0, len(columns) - most),
        tuple(derived[:MAX_COLUMNS]),
        show_short_key(key, name, is_repeated=name in repeated),
    )


def _shorten(value: str | None) -> str | None:
    return None if value is None else make_brief(value, MAX_VALUE)
