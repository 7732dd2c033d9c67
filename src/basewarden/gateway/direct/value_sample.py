"""Looks at some values of a project's tables for columns that may be sensitive. Names and counts leave this, no value.

Only tables with rows of their own are read, by the connection's own role, in READ ONLY transactions with a time limit:
a view or a foreign table may run anything.
"""

import asyncio
from collections.abc import Iterator, Sequence
from uuid import UUID

from basewarden.connections import ConnectionTargets, SensitiveValues, TablesUnchecked
from basewarden.db import note_waiting
from basewarden.gateway.projects import Project, Projects
from basewarden.gateway.sharing import STATUS_QUERY
from basewarden.policy import GuardRules, classify_column, format_table
from pgrest import DatabaseError, Name, PgrestError, Rows, Schema, Statement, Table, quote_ident, quote_name, roll_back

MOST_ROWS, MOST_TABLES, MOST_COLUMNS, MOST_CHARACTERS = 200, 200, 100, 4_000
SAMPLE_SECONDS = 20.0
_TEXT = "S"
_OPENING = (
    Statement("BEGIN READ ONLY"),
    Statement("SELECT pg_catalog.set_config('statement_timeout', '2s', true)"),
)


async def sample_values(
    projects: Projects, targets: ConnectionTargets, connection_id: UUID
) -> Sequence[SensitiveValues]:
    """Ends with what it has after SAMPLE_SECONDS. Raises NeedsPostgres for a project that has an API alone.

    Raises TablesUnchecked where the database cannot be asked.
    """
    note_waiting("a project's values")
    project = await projects.get_direct(connection_id)
    guard = (await targets.get_target(connection_id)).guard
    try:
        schema = await project.schema()
        rules = project.guard.find(guard, schema) or await project.guard.load(guard, schema)
    except (PgrestError, DatabaseError) as error:
        raise TablesUnchecked from error
    found: list[SensitiveValues] = []
    try:
        async with asyncio.timeout(SAMPLE_SECONDS):
            for table, columns in _list_unknown(schema, rules):
                found += await _look_at(project, table.qualified, columns)
    except TimeoutError:
        pass
    return found


def _list_unknown(schema: Schema, rules: GuardRules) -> Iterator[tuple[Table, list[str]]]:
    """The first tables, each with those of its texts that are not known to be sensitive, or harmless, already."""
    tables = [one for one in schema.tables.values() if one.kind in ("table", "partitioned") and not one.is_partition]
    for table in sorted(tables, key=lambda one: one.qualified)[:MOST_TABLES]:
        texts = [one.name for one in table.columns.values() if one.category == _TEXT]
        unknown = [name for name in texts if not rules.is_decided((table.qualified, name))][:MOST_COLUMNS]
        if table.schema in schema.exposed and unknown:
            yield table, unknown


async def _look_at(project: Project, table: Name, columns: Sequence[str]) -> list[SensitiveValues]:
    """Nothing of a table that cannot be read, or not in time."""
    shown = ", ".join(f"pg_catalog.left({quote_ident(name)}::pg_catalog.text, {MOST_CHARACTERS})" for name in columns)
    query = Statement(f"SELECT {shown} FROM {quote_name(table)} LIMIT {MOST_ROWS}")
    try:
        async with project.pool.acquire(STATUS_QUERY) as connection:
            *_, rows = (await connection.run([*_OPENING, query, *roll_back(connection)]))[: len(_OPENING) + 1]
    except (DatabaseError, PgrestError):
        return []
    return list(_describe(rows, table, columns))


def _describe(rows: Rows, table: Name, columns: Sequence[str]) -> Iterator[SensitiveValues]:
    read = rows.rows
    for place, name in enumerate(columns):
        values = (row[place] for row in read)
        looked_at = classify_column(value.decode("utf-8", "replace") for value in values if value is not None)
        if looked_at is not None:
            yield SensitiveValues(format_table(table), name, *looked_at)
