"""Rows that reference given rows, and what happens to them when those are deleted."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from basewarden.workspace.conditions import Parameter, is_any_row, is_one_of
from basewarden.workspace.errors import DataRefused
from basewarden.workspace.navigation import name_table
from basewarden.workspace.references import filtered_path, list_referencing_tables, referencing_values
from basewarden.workspace.table_client import Row, TableClient, select_texts
from pgrest import ForeignKey, Schema, Table

_MOST_HELD = 1_000
_HELD_SHOWN = 5
_REFUSING = ("RESTRICT", "NO ACTION")
_EFFECTS = {
    "CASCADE": ("is deleted too", "are deleted too"),
    "SET NULL": ("loses its reference", "lose their reference"),
    "SET DEFAULT": ("gets the default reference", "get the default reference"),
    "RESTRICT": (
        "refers to it, so the database will refuse the delete",
        "refer to it, so the database will refuse the delete",
    ),
    "NO ACTION": ("may block the delete", "may block the delete"),
}
_ON_DELETE = {
    "CASCADE": "deleted with this row",
    "SET NULL": "loses its reference when this row is deleted",
    "SET DEFAULT": "gets the default reference when this row is deleted",
    "RESTRICT": "blocks deleting this row",
    "NO ACTION": "blocks deleting this row",
}


@dataclass(frozen=True, slots=True)
class ReferencingTable:
    """How many rows of a table reference the given rows; `count` None = the role may not read it.

    `blocks` = the database will surely refuse to delete the given rows.
    """

    key: ForeignKey
    table: Table
    name: str
    count: int | None
    href: str | None
    blocks: bool
    held: Sequence[tuple[int, str]] = ()
    """Where it blocks deleting several rows: the numbers of those that it refers to, with the paths of its own rows."""

    @property
    def rows(self) -> str:
        """What is affected: "2 rows of prices"."""
        if self.count is None:
            return f"Rows of {self.name}"
        return f"{self.count:,} row{'' if self.count == 1 else 's'} of {self.name}"

    @property
    def effect(self) -> str:
        """What deleting does to them, as the end of the sentence that `rows` begins."""
        if self.count is None:
            return f"may refer to it ({self.key.name}, on delete {self.key.on_delete.lower()})"
        one, several = _EFFECTS[self.key.on_delete]
        further = ", with the rows that depend on them" if self._cascades_further else ""
        return (one if self.count == 1 else several) + further

    @property
    def on_delete(self) -> str:
        """What deleting the referenced row does to one of these."""
        return _ON_DELETE[self.key.on_delete]

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
    cascaded = _list_cascaded(client.schema, table)
    related = []
    for (key, source), count in zip(found, counts, strict=True):
        blocks = bool(count) and key.on_delete in _REFUSING and source.qualified not in cascaded
        held = await _list_held(client, connection_id, key, source, rows) if blocks and len(rows) > 1 else ()
        href = _href(connection_id, key, source, rows)
        related.append(ReferencingTable(key, source, named(*source.qualified), count, href, blocks, held))
    return related


def count_deleted(rows: Sequence[Row], related: Sequence[ReferencingTable]) -> int:
    """Counts the rows that a delete removes, as far as they refer to the given rows themselves."""
    return len(rows) + sum(item.count or 0 for item in related if item.key.on_delete == "CASCADE")


def _list_cascaded(schema: Schema, table: Table) -> set[tuple[str, str]]:
    """Lists the table and those that a delete cascades to: their own rows may be gone before the check of a key."""
    reached = {table.qualified}
    queue = [table]
    for current in queue:
        for key, source in list_referencing_tables(schema, current):
            if key.on_delete == "CASCADE" and source.qualified not in reached:
                reached.add(source.qualified)
                queue.append(source)
    return reached


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


async def _list_held(
    client: TableClient, connection_id: object, key: ForeignKey, source: Table, rows: Sequence[Row]
) -> list[tuple[int, str]]:
    """Which of the rows the table refers to: one request for all, since a person deletes few rows that are held."""
    wanted = [(number, values) for number, row in enumerate(rows) if (values := referencing_values(key, row))]
    where = _match_references(key, [values for _, values in wanted])
    found = await client.read(source, [where, ("select", select_texts(key.columns)), ("limit", str(_MOST_HELD))])
    held = {tuple(row[column] for column in key.columns) for row in found.rows}
    return [
        (number, filtered_path(connection_id, source, values))
        for number, values in wanted
        if tuple(values[column] for column in key.columns) in held
    ][:_HELD_SHOWN]


def _match_references(key: ForeignKey, held: Sequence[dict[str, str]]) -> Parameter:
    if len(key.columns) == 1:
        column = key.columns[0]
        return is_one_of(column, [values[column] for values in held]).as_parameter()
    return is_any_row(key.columns, [tuple(values[column] for column in key.columns) for values in held])


def _href(connection_id: object, key: ForeignKey, source: Table, rows: Sequence[Row]) -> str | None:
    values = referencing_values(key, rows[0]) if len(rows) == 1 else None
    return filtered_path(connection_id, source, values) if values is not None else None
