"""Chooses the columns that name a row for people, by the description of its table."""

from collections.abc import Mapping
from typing import NamedTuple

from basewarden.core.row_labels import LABEL_NAMES, LONGEST_CODE
from pgrest import Column, ForeignKey, Schema, Table


def choose_label(table: Table) -> str | None:
    """Chooses the column that labels a row for people; None where no column is sure to tell rows apart."""
    texts = [name for name, column in table.columns.items() if column.category == "S" and name not in table.key]
    named = [name for name in LABEL_NAMES if name in texts]
    unique = [name for name in texts if _is_unique(table, name)]
    telling = [name for name in texts if _is_telling(table, table.columns[name])]
    return next(iter([*named, *unique, *telling]), None)


def _is_unique(table: Table, name: str) -> bool:
    return not table.columns[name].nullable and any(key.columns == (name,) for key in table.unique_keys)


def _is_telling(table: Table, column: Column) -> bool:
    """A required text; not what is the same in many rows: a default, a code such as "EUR", the key of another row."""
    is_code = column.max_length is not None and column.max_length <= LONGEST_CODE
    is_reference = any(column.name in key.columns for key in table.foreign_keys_out)
    return not (column.nullable or column.default is not None or is_code or is_reference)


class NameSource(NamedTuple):
    """`column` names a row: its own one or, with a `key`, that of the row of `table` that the key refers to."""

    table: Table
    column: str
    key: ForeignKey | None = None

    def read_key(self, values: Mapping[str, str | None]) -> tuple[str, ...] | None:
        """The key of the row that names one with these values; None where it refers to none."""
        found = tuple(values.get(column) for column in (self.key.columns if self.key else ()))
        return None if None in found else tuple(value or "" for value in found)


def choose_names(schema: Schema, table: Table) -> tuple[NameSource, ...]:
    """What names a row together: a label, or the rows that it refers to, or any text that is required.

    A row whose whole key refers to others, such as the stock of a product in a warehouse, is named by all of them.
    Else a reference outside of the key comes first, and one that there always is: a line of an order is called by its
    product, not by the order.
    """
    own = choose_label(table)
    if own is not None and (own in LABEL_NAMES or _is_unique(table, own)):
        return (NameSource(table, own),)
    found = _list_named_references(schema, table)
    in_key = [one for one in found if one.key is not None and set(one.key.columns) <= set(table.key)]
    if table.key and {column for one in in_key if one.key is not None for column in one.key.columns} == set(table.key):
        return tuple(sorted(in_key, key=lambda one: table.key.index(one.key.columns[0]) if one.key else 0))
    others = sorted((one for one in found if one not in in_key), key=lambda one: _is_optional(table, one))
    return tuple([*others, *in_key][:1]) or ((NameSource(table, own),) if own is not None else ())


def _is_optional(table: Table, source: NameSource) -> bool:
    return source.key is not None and any(table.columns[name].nullable for name in source.key.columns)


def _list_named_references(schema: Schema, table: Table) -> list[NameSource]:
    found = []
    for key in table.foreign_keys_out:
        target = schema.tables.get(key.ref_table)
        label = choose_label(target) if target is not None else None
        if target is not None and label in LABEL_NAMES and key.ref_columns == target.key and target is not table:
            found.append(NameSource(target, label, key))
    return found
