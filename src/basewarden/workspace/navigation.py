"""The list of tables beside the data pages, and how tables are named on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from basewarden.core.addresses import policies_path, table_path
from basewarden.workspace.row_counts import MOST_COUNTED, are_counts_current
from basewarden.workspace.table_client import TableClient
from pgrest import Name, Schema, Table

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class TableLink:
    name: str
    href: str
    is_current: bool
    is_view: bool
    rows: str
    """How many it has, as text; empty while that is not known."""


@dataclass(frozen=True, slots=True)
class TableNavigation:
    """`total` counts the tables, of which `links` may be the first ones only.

    `is_counted` is False where the script should ask for the counts of rows again.
    """

    links: Sequence[TableLink]
    total: int
    is_counted: bool


def list_table_links(client: TableClient, connection_id: object, current: Table | None = None) -> TableNavigation:
    """In the order of their names; the current table is always among them."""
    names = list_names(client)
    here = current.qualified if current is not None else None
    shown = names[:MOST_SHOWN]
    if here is not None and here in names and here not in shown:
        shown.append(here)
    links = [
        TableLink(
            name_table(client.schema, *one),
            table_path(connection_id, *one),
            is_current=one == here,
            is_view=client.schema.tables[one].is_view,
            rows=_describe_rows(client, one),
        )
        for one in shown
    ]
    return TableNavigation(links, len(names), are_counts_current(client, names[:MOST_COUNTED]))


def list_names(client: TableClient) -> list[Name]:
    return [(schema, name) for schema, tables in client.schema.table_names.items() for name in sorted(tables)]


def _describe_rows(client: TableClient, name: Name) -> str:
    kept = client.counts.get(name)
    return kept.counted.text.removeprefix("about ") if kept is not None and kept.counted is not None else ""


def make_table_context(client: TableClient, connection_id: object, table: Table) -> dict[str, Any]:
    """What every page of a table shows around its content."""
    return {
        "table": table,
        "table_name": name_table(client.schema, *table.qualified),
        "navigation": list_table_links(client, connection_id, table),
        "policies_href": policies_path(connection_id, *table.qualified),
    }


def name_table(schema: Schema, schema_name: str, name: str) -> str:
    """Leaves the schema out where only one is exposed."""
    return name if len(schema.exposed) == 1 else f"{schema_name}.{name}"
