"""The tables that a connection reaches."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from basewarden.core.addresses import table_path
from basewarden.workspace.desk import Desk
from basewarden.workspace.errors import DataRefused
from pgrest import Table

TABLES_PER_PAGE = 60
_KINDS = {"table": "table", "partitioned": "partitioned table", "view": "view", "matview": "materialized view",
          "foreign": "foreign table"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableRow:
    """`estimate` is the planner's number; None where the role may not read the table."""

    table: Table
    kind: str
    href: str
    estimate: int | None


def search_tables(desk: Desk, text: str) -> list[Table]:
    """Those whose name holds the text."""
    wanted = text.strip().lower()
    names = [(schema, name) for schema, names in desk.schema.table_names.items() for name in names]
    return [desk.schema.tables[name] for name in sorted(names) if wanted in ".".join(name).lower()]


async def describe_tables(desk: Desk, connection_id: object, tables: Sequence[Table]) -> list[TableRow]:
    estimates = await asyncio.gather(*(_estimate(desk, table) for table in tables))
    return [
        TableRow(table, _KINDS[table.kind], table_path(connection_id, *table.qualified), estimate)
        for table, estimate in zip(tables, estimates, strict=True)
    ]


async def _estimate(desk: Desk, table: Table) -> int | None:
    try:
        return await desk.count(table, [], count="planned")
    except DataRefused:
        return None
