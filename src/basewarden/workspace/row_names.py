"""Names recorded rows, and the rows that they refer to, by what the project says of them, read for one member."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from basewarden.connections import Membership
from basewarden.core.brief import make_brief
from basewarden.core.row_labels import LABEL_NAMES, NAMES_JOIN
from basewarden.errors import AppError
from basewarden.gateway import Backends, NameSource, Projects, choose_label, choose_names
from basewarden.journal import NO_NAMES, NamedRow, RecordedRow
from basewarden.workspace.conditions import is_any_row
from basewarden.workspace.table_client import Key, TableClient, make_table_client, select_texts
from pgrest import ForeignKey, Name, TextLimit

SECONDS: Final = 2.0
"""A page does not wait longer for names."""
MOST_KEYS: Final = 100
"""Rows that are read of one table; their keys must fit in an address."""
MOST_TABLES: Final = 8
MAX_NAME: Final = 48
_Place = tuple[Name, str]
_Labels = Mapping[_Place, Mapping[Key, str]]


async def read_row_names(
    backends: Backends, projects: Projects, member: Membership, rows: Sequence[RecordedRow]
) -> Sequence[NamedRow]:
    try:
        async with asyncio.timeout(SECONDS):
            client = await make_table_client(backends, projects, member.connection.id, member.person, member.role)
            return await _read_names(client, rows)
    except (AppError, TimeoutError):
        return [NO_NAMES] * len(rows)


async def _read_names(client: TableClient, rows: Sequence[RecordedRow]) -> Sequence[NamedRow]:
    sources = {name: _list_sources(client, name) for name in {(row.schema, row.table) for row in rows}}
    references = {name: _list_references(client, name) for name in sources}
    wanted: dict[_Place, tuple[NameSource, ForeignKey, dict[Key, None]]] = {}
    for row in rows:
        for source in [*sources[row.schema, row.table], *references[row.schema, row.table].values()]:
            key = source.read_key(row.values)
            if source.key is not None and key is not None:
                wanted.setdefault(_find_place(source), (source, source.key, {}))[2][key] = None
    asked = list(wanted.items())[:MOST_TABLES]
    found = await asyncio.gather(*(_read_labels(client, source, key, keys) for _, (source, key, keys) in asked))
    labels = {place: labels for (place, _), labels in zip(asked, found, strict=True)}
    return [_name_row(row, sources[row.schema, row.table], references[row.schema, row.table], labels) for row in rows]


def _name_row(
    row: RecordedRow, sources: Sequence[NameSource], references: Mapping[str, NameSource], labels: _Labels
) -> NamedRow:
    values = {column: _find_label(row, reference, labels) for column, reference in references.items()}
    named = {column: name for column, name in values.items() if name is not None}
    own = next((row.values.get(source.column) for source in sources if source.key is None), None)
    if own:
        return NamedRow(make_brief(own, MAX_NAME), None, named)
    parts = [name for source in sources if (name := _find_label(row, source, labels)) is not None]
    return NamedRow(None, NAMES_JOIN.join(parts) or None, named)


def _find_label(row: RecordedRow, source: NameSource, labels: _Labels) -> str | None:
    key = source.read_key(row.values)
    return labels.get(_find_place(source), {}).get(key) if key is not None else None


def _find_place(source: NameSource) -> _Place:
    return source.table.qualified, source.column


def _list_sources(client: TableClient, name: Name) -> tuple[NameSource, ...]:
    """Leaves out tables that the member does not see."""
    table = client.schema.find_table(*name)
    sources = choose_names(client.schema, table) if table is not None else ()
    return tuple(one for one in sources if client.schema.find_table(*one.table.qualified) is not None)


def _list_references(client: TableClient, name: Name) -> dict[str, NameSource]:
    """By column what names the row that it refers to, as the preview of an undo shows it."""
    table = client.schema.find_table(*name)
    found: dict[str, NameSource] = {}
    for key in table.foreign_keys_out if table is not None else ():
        target = client.schema.find_table(*key.ref_table)
        label = choose_label(target) if target is not None else None
        is_named = label in LABEL_NAMES and target is not None and key.ref_columns == target.key
        if target is not None and label is not None and is_named and len(key.columns) == 1:
            found[key.columns[0]] = NameSource(target, label, key)
    return found


async def _read_labels(
    client: TableClient, source: NameSource, key: ForeignKey, keys: Iterable[Key]
) -> Mapping[Key, str]:
    columns = key.ref_columns
    wanted = sorted(list(keys)[:MOST_KEYS])
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
