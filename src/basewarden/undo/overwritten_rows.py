"""The rows that an undo restored over newer values, with both values from the journal."""

from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import Database, ReadSession
from basewarden.journal import JournalMutation, encode_key, list_session_rows
from basewarden.undo import queries
from basewarden.undo.recorded_writes import cut_pages
from basewarden.undo.stored_receipt import StoredConflict, StoredReceipt

_MOST_CHANGES = 3
"""By which an undo over an API may write one row, when triggers set its columns again."""
_exact = msgspec.json.Decoder(dict[str, str | None])
_Image = Mapping[str, str | None]
Values = tuple[tuple[str, str | None, str | None], ...]
"""Column, newer value and restored value, in PostgreSQL's text."""


@dataclass(frozen=True, slots=True)
class OverwrittenRow:
    """For a page: long values are shortened."""

    conflict: StoredConflict
    values: Values
    mutation: JournalMutation


async def list_overwritten(db: ReadSession, undo_id: UUID, receipt: StoredReceipt, limit: int) -> list[OverwrittenRow]:
    """Lists only rows whose change by the undo is in the journal."""
    found = []
    for table, conflicts in _group_by_table(receipt.overwritten[:limit]).items():
        most = _MOST_CHANGES * len(conflicts)
        for row in await list_session_rows(db, undo_id, limit=most, table=table, row_keys=list(conflicts)):
            conflict = conflicts.pop(row.row_key, None)
            if conflict is not None:
                values = _list_values(conflict, row.before_exact or {}, row.after_exact or {})
                found.append(OverwrittenRow(conflict, values, row))
    return found


async def read_overwritten(
    database: Database, undo_id: UUID, receipt: StoredReceipt
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yields the same rows for a file, with whole values, in pages that bound how much is held at a time."""
    for table, conflicts in _group_by_table(receipt.overwritten).items():
        async with database.read_only() as db:
            written = await queries.list_written_rows(db, undo_id, table, conflicts.keys())
        for positions in _list_pages(sorted((position, size) for _, position, size in written)):
            async with database.read_only() as db:
                images = await queries.read_images(db, undo_id, positions)
            yield [_describe(conflicts[key], _decode(before), _decode(after)) for key, before, after in images]


async def list_written_conflicts(db: AsyncSession, undo_id: UUID, receipt: StoredReceipt) -> tuple[StoredConflict, ...]:
    """Those of the chosen rows whose change by the undo is in the journal."""
    written: set[tuple[str, str, str]] = set()
    for table, conflicts in _group_by_table(receipt.overwritten).items():
        rows = await queries.list_written_rows(db, undo_id, table, conflicts.keys())
        written.update((*table, key) for key, _, _ in rows)
    places = ((one, (one.schema, one.table, encode_key(list_key(one)))) for one in receipt.overwritten)
    return tuple(one for one, place in places if place in written)


def list_key(conflict: StoredConflict) -> tuple[str, ...]:
    """In PostgreSQL's text."""
    return conflict.key or tuple(str(value) for value in conflict.primary_key.values())


def _group_by_table(conflicts: Sequence[StoredConflict]) -> dict[tuple[str, str], dict[str, StoredConflict]]:
    by_table: dict[tuple[str, str], dict[str, StoredConflict]] = {}
    for conflict in conflicts:
        by_table.setdefault((conflict.schema, conflict.table), {})[encode_key(list_key(conflict))] = conflict
    return by_table


def _list_pages(sizes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """The positions of each page."""
    positions, start = [position for position, _ in sizes], 0
    for last in cut_pages(sizes):
        end = bisect_right(positions, last, start)
        yield positions[start:end]
        start = end


def _decode(image: str | None) -> _Image:
    return {} if image is None else _exact.decode(image)


def _describe(conflict: StoredConflict, before: _Image, after: _Image) -> dict[str, Any]:
    return {
        "schema": conflict.schema,
        "table": conflict.table,
        "primaryKey": conflict.primary_key,
        "columns": [
            {"name": name, "newer": newer, "restored": restored}
            for name, newer, restored in _list_values(conflict, before, after)
        ],
    }


def _list_values(conflict: StoredConflict, before: _Image, after: _Image) -> Values:
    names = [column if isinstance(column, str) else column.name for column in conflict.columns]
    return tuple((name, before.get(name), after.get(name)) for name in names)
