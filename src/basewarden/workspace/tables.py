"""Lists the tables of a connection."""

from collections.abc import Sequence
from dataclasses import dataclass

from basewarden.core.addresses import table_path
from basewarden.workspace.kept_counts import Counted
from basewarden.workspace.navigation import name_table
from basewarden.workspace.row_counts import count_tables
from basewarden.workspace.table_client import TableClient
from pgrest import Table

TABLES_PER_PAGE = 60
_KINDS = {"table": "table", "partitioned": "partitioned table", "view": "view", "matview": "materialized view",
          "foreign": "foreign table"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableRow:
    """`rows` is None if the role may not read the table, and for views, which are counted when they are opened."""

    table: Table
    name: str
    kind: str
    href: str
    rows: Counted | None


def search_tables(client: TableClient, text: str) -> list[Table]:
    """Lists tables whose name contains the text."""
    wanted = text.strip().lower()
    names = [(schema, name) for schema, names in client.schema.table_names.items() for name in names]
    return [client.schema.tables[name] for name in sorted(names) if wanted in ".".join(name).lower()]


async def describe_tables(client: TableClient, connection_id: object, tables: Sequence[Table]) -> list[TableRow]:
    counts = await count_tables(client, tables)
    return [
        TableRow(
            table,
            name_table(client.schema, *table.qualified),
            _KINDS[table.kind],
            table_path(connection_id, *table.qualified),
            rows,
        )
        for table, rows in zip(tables, counts, strict=True)
    ]
