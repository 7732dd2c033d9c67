"""Foreign keys as links: from a row to the rows that it references, and to those that reference it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from basewarden.core.addresses import row_path, table_path
from basewarden.gateway import choose_label
from basewarden.workspace.conditions import quote
from basewarden.workspace.table_client import Row, text_of
from pgrest import ForeignKey, Schema, Table


@dataclass(frozen=True, slots=True)
class CellLink:
    href: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of a table, with the alias of its label in the response."""

    key: ForeignKey
    target: Table
    label_column: str | None
    alias: str

    @property
    def shown_at(self) -> str:
        """The column that shows the link."""
        return self.key.columns[-1]

    @property
    def select(self) -> str | None:
        """The embedding that reads the label; a self-reference is hinted by its column instead of its name."""
        if self.label_column is None or self.key.ref_table[0] != self.key.table[0]:
            return None
        is_self = self.key.ref_table == self.key.table
        if is_self and len(self.key.columns) > 1:
            return None
        hint = self.key.columns[0] if is_self else self.key.name
        return f"{self.alias}:{quote(self.target.name)}!{quote(hint)}({text_of(self.label_column)})"

    def link(self, connection_id: object, row: Row) -> CellLink | None:
        values = {ref: row[column] for column, ref in zip(self.key.columns, self.key.ref_columns, strict=True)}
        if any(value is None for value in values.values()):
            return None
        embedded = row.get(self.alias)
        label = embedded[self.label_column] if embedded else None
        target = self.target
        if target.key and set(target.key) == set(values):
            key = [values[column] for column in target.key]
            return CellLink(row_path(connection_id, target.schema, target.name, key), label)
        return CellLink(filtered_path(connection_id, target, values), label)


def list_references(schema: Schema, table: Table) -> tuple[Reference, ...]:
    """Lists at most one reference per column: the first to a visible table."""
    found: dict[str, Reference] = {}
    for number, key in enumerate(table.foreign_keys_out):
        target = schema.find_table(*key.ref_table)
        if target is not None:
            reference = Reference(key, target, choose_label(target), _make_alias(table, number))
            found.setdefault(reference.shown_at, reference)
    return tuple(found.values())


def list_referencing_tables(schema: Schema, table: Table) -> list[tuple[ForeignKey, Table]]:
    found = [(key, schema.find_table(*key.table)) for key in table.foreign_keys_in]
    return [(key, source) for key, source in found if source is not None]


def filtered_path(connection_id: object, table: Table, values: Mapping[str, str]) -> str:
    """Returns the path of a table's grid, filtered by these values."""
    query = [pair for column, value in values.items() for pair in _filter_query(column, value)]
    return f"{table_path(connection_id, table.schema, table.name)}?{urlencode(query)}"


def referencing_values(key: ForeignKey, row: Row) -> dict[str, str] | None:
    """Returns the values of the referencing columns for this row; None if a referenced value is null."""
    values = {column: row[ref] for column, ref in zip(key.columns, key.ref_columns, strict=True)}
    return None if any(value is None for value in values.values()) else values


def select_embeds(references: Sequence[Reference]) -> list[str]:
    return [reference.select for reference in references if reference.select is not None]


def _make_alias(table: Table, number: int) -> str:
    alias = f"ref_{number}"
    while alias in table.columns:
        alias = f"_{alias}"
    return alias


def _filter_query(column: str, value: str) -> list[tuple[str, str]]:
    return [("column", column), ("operator", "eq"), ("value", value)]
