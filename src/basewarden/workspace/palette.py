"""The command palette's results: connections, their pages, tables, sessions, and rows by their label."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from basewarden.connections import Role
from basewarden.core.addresses import row_path, table_path
from basewarden.db import ReadSession
from basewarden.errors import AppError
from basewarden.journal import list_sessions
from basewarden.workspace.columns import LABEL_NAMES, choose_label
from basewarden.workspace.conditions import any_of, contains, equals
from basewarden.workspace.table_client import TableClient, key_of, select_texts
from basewarden.workspace.tables import search_tables
from pgrest import Table

MAX_PLACES = 30
TABLES_SEARCHED = 6
ROWS_PER_TABLE = 4
ROW_SECONDS = 0.8
SESSIONS_SEARCHED = 100
_PAGES = (("Home", ""), ("Data", "/data"), ("Sessions", "/sessions"), ("Agents", "/agents"), ("Settings", "/settings"))
_REQUIRED_ROLES = {"Settings": Role.OWNER}


@dataclass(frozen=True, slots=True)
class PaletteEntry:
    label: str
    hint: str | None
    href: str


def find_connections(connections: Sequence[tuple[UUID, str]], text: str) -> list[PaletteEntry]:
    found = [PaletteEntry(name, "connection", f"/c/{connection_id}") for connection_id, name in connections]
    general = [
        PaletteEntry("All connections", None, "/connections"),
        PaletteEntry("New connection", None, "/connections/new"),
    ]
    return _matching([*found, *general, PaletteEntry("Guide", None, "/docs/guide")], text)


def find_pages(connection_id: UUID, name: str, text: str, role: Role) -> list[PaletteEntry]:
    """Finds the pages that the role may open."""
    pages = [(page, path) for page, path in _PAGES if role.includes(_REQUIRED_ROLES.get(page, Role.VIEWER))]
    return _matching([PaletteEntry(page, name, f"/c/{connection_id}{path}") for page, path in pages], text)


async def find_sessions(db: ReadSession, connection_id: UUID, text: str) -> list[PaletteEntry]:
    found = await list_sessions(db, connection_id, limit=SESSIONS_SEARCHED)
    sessions = [item.session for item in found if item.session.label]
    places = [
        PaletteEntry(
            session.label or "", f"session of {session.caller_name}", f"/c/{connection_id}/sessions/{session.id}"
        )
        for session in sessions
    ]
    return _matching(places, text)


def find_tables(client: TableClient, connection_id: UUID, text: str) -> list[PaletteEntry]:
    tables = search_tables(client, text)
    return [
        PaletteEntry(".".join(table.qualified), "table", table_path(connection_id, *table.qualified))
        for table in tables
    ]


async def find_rows(client: TableClient, connection_id: UUID, text: str) -> list[PaletteEntry]:
    """Searches a few tables with a short timeout; a table that is slow or fails is left out."""
    if len(text) < 2:
        return []
    named = [
        (table, label)
        for table in search_tables(client, "")
        if table.key and (label := choose_label(table)) in LABEL_NAMES
    ]
    found = await asyncio.gather(
        *(_find_in(client, connection_id, table, label, text) for table, label in named[:TABLES_SEARCHED])
    )
    return [place for places in found for place in places]


async def _find_in(client: TableClient, connection_id: UUID, table: Table, label: str, text: str) -> list[PaletteEntry]:
    conditions = [contains(label, text)]
    if len(table.key) == 1 and table.columns[table.key[0]].category == "N" and text.isascii() and text.isdigit():
        conditions.append(equals(table.key[0], text))
    select = select_texts(list(dict.fromkeys([*table.key, label])))
    parameters = [any_of(conditions), ("select", select), ("limit", str(ROWS_PER_TABLE))]
    try:
        async with asyncio.timeout(ROW_SECONDS):
            found = await client.read(table, parameters)
    except (AppError, TimeoutError):
        return []
    return [
        PaletteEntry(
            row[label] or ", ".join(key_of(table, row)),
            f"{table.name} {', '.join(key_of(table, row))}",
            row_path(connection_id, *table.qualified, key_of(table, row)),
        )
        for row in found.rows
    ]


def _matching(places: Sequence[PaletteEntry], text: str) -> list[PaletteEntry]:
    return [place for place in places if text.lower() in place.label.lower()]
