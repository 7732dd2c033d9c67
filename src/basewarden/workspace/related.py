"""Rows that reference given rows, and what happens to them when those are deleted."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from basewarden.workspace.conditions import Parameter, is_any_row, is_one_of
from basewarden.workspace.errors import DataRefused
from basewarden.workspace.navigation import name_table
from basewarden.workspace.references import filtered_path, list_referencing_tables, referencing_values
from basewarden.workspace.table_client import Row, TableClient
from pgrest import ForeignKey, Table

_CONSEQUENCES = {
    "CASCADE": "{rows} of {table} {go} with it, by the foreign key {key}.",
    "SET NULL": "{rows} of {table} {lose} this reference ({columns} becomes null).",
    "SET DEFAULT": "{rows} of {table} {get} the default in {columns}.",
    "RESTRICT": "{rows} of {table} {refer} to it, so the database will refuse the delete.",
    "NO ACTION": "{rows} of {table} {refer} to it, so the database will refuse the delete.",
}
_PLURALS = {"go": "goes", "lose": "loses", "get": "gets", "refer": "refers"}


@dataclass(frozen=True, slots=True)
class ReferencingTable:
    """How many rows of a table reference the given rows; `count` None = the role may not read it."""

    key: ForeignKey
    table: Table
    name: str
    count: int | None
    href: str | None

    @property
    def sentence(self) -> str:
        name = ".".join(self.table.qualified)
        if self.count is None:
            return f"Rows of {name} may refer to it ({self.key.name}, on delete {self.key.on_delete.lower()})."
        verbs = _PLURALS if self.count == 1 else dict(zip(_PLURALS, _PLURALS, strict=True))
        rows = f"{self.count:,} row{'' if self.count == 1 else 's'}"
        text = _CONSEQUENCES[self.key.on_delete].format(
            rows=rows, table=name, key=self.key.name, columns=", ".join(self.key.columns), **verbs
        )
        return f"{text} Rows that depend on those follow." if self._cascades_further else text

    @property
    def _cascades_further(self) -> bool:
        return self.key.on_delete == "CASCADE" and any(
            key.on_delete in ("CASCADE", "SET NULL") for key in self.table.foreign_keys_in
        )


async def list_related(
    client: TableClient, connection_id: object, table: Table, rows: Sequence[Row]
) -> list[ReferencingTable]:
    """Lists the tables that reference the rows, which must include the referenced columns."""
    found = list_referencing_tables(client.schema, table)
    counts = await asyncio.gather(*(_count(client, key, source, rows) for key, source in found))
    named = partial(name_table, client.schema)
    return [
        ReferencingTable(key, source, named(*source.qualified), count, _href(connection_id, key, source, rows))
        for (key, source), count in zip(found, counts, strict=True)
    ]


def list_consequences(table: Table, rows: Sequence[Row], related: Sequence[ReferencingTable]) -> list[str]:
    number = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    return [f"{number} of {'.'.join(table.qualified)}.", *[item.sentence for item in related if item.count != 0]]


def referenced_columns(table: Table) -> list[str]:
    return list(dict.fromkeys([*table.key, *(name for key in table.foreign_keys_in for name in key.ref_columns)]))


async def _count(client: TableClient, key: ForeignKey, source: Table, rows: Sequence[Row]) -> int | None:
    held = [values for row in rows if (values := referencing_values(key, row)) is not None]
    if not held:
        return 0
    try:
        return await client.count(source, [_match_references(key, held)])
    except DataRefused:
        return None


def _match_references(key: ForeignKey, held: Sequence[dict[str, str]]) -> Parameter:
    if len(key.columns) == 1:
        column = key.columns[0]
        return is_one_of(column, [values[column] for values in held]).as_parameter()
    return is_any_row(key.columns, [tuple(values[column] for column in key.columns) for values in held])


def _href(connection_id: object, key: ForeignKey, source: Table, rows: Sequence[Row]) -> str | None:
    values = referencing_values(key, rows[0]) if len(rows) == 1 else None
    return filtered_path(connection_id, source, values) if values is not None else None
