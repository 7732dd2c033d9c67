"""Foreign keys as links: from a row to the rows that it references, and to those that reference it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from basewarden.core.addresses import row_path, table_path
from basewarden.gateway import choose_label
from basewarden.workspace.conditions import quote
from basewarden.workspace.errors import DataRefused
from basewarden.workspace.table_client import Row, TableClient, select_texts, text_of
from pgrest import ForeignKey, Schema, Table, TextLimit

MOST_CHOICES = 200
_LONGEST_CHOICE = 80


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


async def read_choices(client: TableClient, references: Sequence[Reference]) -> dict[str, list[tuple[str, str]]]:
    """Lists by column the rows that it can refer to, as (key, label); leaves out a table that has too many."""
    choosable = [one for one in references if len(one.key.columns) == 1 and one.label_column is not None]
    found = await asyncio.gather(*(_read_targets(client, one) for one in choosable))
    return {one.shown_at: rows for one, rows in zip(choosable, found, strict=True) if rows}


async def _read_targets(client: TableClient, reference: Reference) -> list[tuple[str, str]]:
    column, label = reference.key.ref_columns[0], reference.label_column
    if label is None:
        return []
    page = [("order", f"{quote(column)}.asc"), ("limit", str(MOST_CHOICES + 1))]
    limit = TextLimit(_LONGEST_CHOICE, frozenset([column]))
    try:
        found = await client.read(
            reference.target, [("select", select_texts([column, label])), *page], text_limit=limit
        )
    except DataRefused:
        return []
    rows = [(row[column], (row[label] or row[column])[:_LONGEST_CHOICE]) for row in found.rows if row[column]]
    return sorted(rows, key=lambda row: row[1].casefold()) if len(found.rows) <= MOST_CHOICES else []


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
