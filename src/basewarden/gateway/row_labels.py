"""Chooses the column that names a row for people, by the description of its table."""

from collections.abc import Mapping
from typing import NamedTuple

from basewarden.core.row_labels import LABEL_NAMES
from pgrest import ForeignKey, Schema, Table


def choose_label(table: Table) -> str | None:
    """Chooses the column that labels a row for people."""
    texts = [name for name, column in table.columns.items() if column.category == "S" and name not in table.key]
    named = [name for name in LABEL_NAMES if name in texts]
    required = [name for name in texts if not table.columns[name].nullable]
    return next(iter([*named, *required]), None)


class NameSource(NamedTuple):
    """`column` names a row: its own one or, with a `key`, that of the row of `table` that the key refers to."""

    table: Table
    column: str
    key: ForeignKey | None = None

    def read_key(self, values: Mapping[str, str | None]) -> tuple[str, ...] | None:
        """The key of the row that names one with these values; None where it refers to none."""
        found = tuple(values.get(column) for column in (self.key.columns if self.key else ()))
        return None if None in found else tuple(value or "" for value in found)


def choose_name(schema: Schema, table: Table) -> NameSource | None:
    """A column with the name of a label; else that of a row that it refers to; else any text that is required."""
    own = choose_label(table)
    if own in LABEL_NAMES:
        return NameSource(table, own)
    for key in table.foreign_keys_out:
        target = schema.tables.get(key.ref_table)
        label = choose_label(target) if target is not None else None
        if target is not None and label in LABEL_NAMES and key.ref_columns == target.key and target is not table:
            return NameSource(target, label, key)
    return NameSource(table, own) if own is not None else None
