"""Lists a project's tables for the form of an agent, and finds one for a snippet."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from basewarden.connections import ExampleTable
from basewarden.errors import AppError
from basewarden.gateway.api.project import ApiProject
from basewarden.gateway.projects import Projects
from basewarden.policy import format_table, read_name
from pgrest import Column, DatabaseError, PgrestError, Schema, Table, hide_columns

SECONDS: Final = 3.0
"""A page does not wait longer for a project that does not answer."""
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_KEY_VALUES: Final[Mapping[str, str | int]] = {"N": 1, "S": "1", "U": "00000000-0000-0000-0000-000000000000"}
_VALUES: Final[Mapping[str, str | int | bool]] = {"S": "A new value", "N": 1, "B": True}
"""By the category of a column's type; text first, because any text fits."""


async def list_table_names(projects: Projects, connection_id: UUID) -> Sequence[str] | None:
    schema = await _find_schema(projects, connection_id)
    if schema is None:
        return None
    return [format_table((exposed, name)) for exposed, names in schema.table_names.items() for name in sorted(names)]


async def list_column_names(projects: Projects, connection_id: UUID, table: str) -> Sequence[str] | None:
    """None for a table that there is not, too."""
    schema = await _find_schema(projects, connection_id)
    found = schema.tables.get(read_name(table)) if schema is not None else None
    return None if found is None else list(found.columns)


async def find_example(
    projects: Projects,
    connection_id: UUID,
    allowed: Sequence[str] | None,
    hidden: Mapping[str, Collection[str]],
) -> ExampleTable | None:
    """Finds the first table that an agent may use, that has a plain key, and a column to change.

    `hidden` are the columns by table that the agent may not see.
    """
    schema = await _find_schema(projects, connection_id)
    if schema is None:
        return None
    exposed = schema.exposed[0]  # the schema that a client reaches without naming one
    tables = [schema.tables[exposed, name] for name in sorted(schema.table_names[exposed])]
    usable = (table for table in tables if allowed is None or format_table(table.qualified) in allowed)
    return next((example for table in usable if (example := _make_example(table, hidden)) is not None), None)


async def _find_schema(projects: Projects, connection_id: UUID) -> Schema | None:
    try:
        async with asyncio.timeout(SECONDS):
            project = await projects.get(connection_id)
            return await (project.find_schema() if isinstance(project, ApiProject) else project.schema())
    except (AppError, PgrestError, DatabaseError, TimeoutError):
        return None


def _make_example(table: Table, hidden: Mapping[str, Collection[str]]) -> ExampleTable | None:
    table = hide_columns(table, frozenset(hidden.get(format_table(table.qualified), ())))
    if not table.updatable or len(table.key) != 1 or not _PLAIN_NAME.fullmatch(table.name):
        return None
    key = table.columns[table.key[0]]
    column = _choose_column(table)
    key_value = _find_key_value(key)
    if column is None or key_value is None or not _PLAIN_NAME.fullmatch(key.name):
        return None
    return ExampleTable(table.name, key.name, key_value, column.name, _VALUES[column.category])


def _choose_column(table: Table) -> Column | None:
    unique = {name for key in table.unique_keys for name in key.columns}
    outgoing = {name for key in table.foreign_keys_out for name in key.columns}
    fixed = {*table.key, *unique, *outgoing}
    usable = [column for column in table.columns.values() if column.name not in fixed and _is_plain(column)]
    return next((column for kind in _VALUES for column in usable if column.category == kind), None)


def _is_plain(column: Column) -> bool:
    is_computed = column.generated or bool(column.identity)
    return not is_computed and not column.enum_values and bool(_PLAIN_NAME.fullmatch(column.name))


def _find_key_value(column: Column) -> str | int | None:
    return _KEY_VALUES["U"] if column.base_type == "uuid" else _KEY_VALUES.get(column.category)
