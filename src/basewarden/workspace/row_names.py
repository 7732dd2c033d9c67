"""Names recorded rows by the rows that they refer to, read from the project for one member."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from basewarden.connections import Membership
from basewarden.core.brief import make_brief
from basewarden.errors import AppError
from basewarden.gateway import Backends, NameSource, Projects, choose_name
from basewarden.journal import RecordedRow
from basewarden.workspace.conditions import is_any_row
from basewarden.workspace.table_client import Key, TableClient, make_table_client, select_texts
from pgrest import ForeignKey, Name, TextLimit

SECONDS: Final = 2.0
"""A page does not wait longer for names."""
MOST_KEYS: Final = 100
"""Rows that are read of one table; their keys must fit in an address."""
MOST_TABLES: Final = 8
MAX_NAME: Final = 48


async def read_row_names(
    backends: Backends, projects: Projects, member: Membership, rows: Sequence[RecordedRow]
) -> Sequence[str | None]:
    try:
        async with asyncio.timeout(SECONDS):
            client = await make_table_client(backends, projects, member.connection.id, member.person, member.role)
            return await _read_names(client, rows)
    except (AppError, TimeoutError):
        return [None] * len(rows)


async def _read_names(client: TableClient, rows: Sequence[RecordedRow]) -> Sequence[str | None]:
    sources = {name: _find_source(client, name) for name in {(row.schema, row.table) for row in rows}}
    wanted: dict[tuple[Name, str], tuple[NameSource, ForeignKey, set[Key]]] = {}
    places: list[tuple[tuple[Name, str], Key] | None] = []
    for row in rows:
        source = sources[row.schema, row.table]
        key = source.read_key(row.values) if source is not None else None
        if source is None or source.key is None or key is None:
            places.append(None)
            continue
        place = (source.table.qualified, source.column)
        wanted.setdefault(place, (source, source.key, set()))[2].add(key)
        places.append((place, key))
    asked = list(wanted.items())[:MOST_TABLES]
    found = await asyncio.gather(*(_read_labels(client, source, key, keys) for _, (source, key, keys) in asked))
    labels = {place: labels for (place, _), labels in zip(asked, found, strict=True)}
    return [labels.get(place[0], {}).get(place[1]) if place is not None else None for place in places]


def _find_source(client: TableClient, name: Name) -> NameSource | None:
    """None where the row is named by itself, or by a table that the member does not see."""
    table = client.schema.find_table(*name)
    source = choose_name(client.schema, table) if table is not None else None
    is_seen = source is not None and client.schema.find_table(*source.table.qualified) is not None
    return source if is_seen else None


async def _read_labels(
    client: TableClient, source: NameSource, key: ForeignKey, keys: Iterable[Key]
) -> Mapping[Key, str]:
    columns = key.ref_columns
    wanted = sorted(keys)[:MOST_KEYS]
    parameters = [
        ("select", select_texts([*columns, source.column])),
        is_any_row(columns, wanted),
        ("limit", str(MOST_KEYS)),
    ]
    try:
        found = await client.read(source.table, parameters, text_limit=TextLimit(MAX_NAME * 4, frozenset(columns)))
    except AppError:
        return {}
    names = {tuple(row[column] for column in columns): row[source.column] for row in found.rows}
    return {place: make_brief(name, MAX_NAME) for place, name in names.items() if isinstance(name, str) and name}
