"""The rows of a proposed write as they would be, where a project's API is all there is: computed from the request.

What defaults, triggers and generated columns add is known only when the write is run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from basewarden.gateway.api.row_images import JsonRow, UnreadableAnswer, decode_rows, read_text
from basewarden.journal import Image, RowChange, WriteEntry
from pgrest import Table

_decode_row = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def foresee_changes(
    entry: WriteEntry, table: Table | None, body: bytes, named: frozenset[str], conflict: Sequence[str]
) -> tuple[RowChange, ...]:
    """`entry` holds the rows before; `conflict` are the columns by which an upsert finds its rows."""
    if table is None or entry.verb == "delete":
        return entry.changes
    rows = [{name: value for name, value in row.items() if name in named} for row in _read_rows(body)]
    if entry.verb == "update":
        return tuple(_change(change, rows[0]) for change in entry.changes) if rows else entry.changes
    return tuple(_foresee_upsert(entry.changes, table, rows, tuple(conflict)))


def _foresee_upsert(
    before: Sequence[RowChange], table: Table, rows: Sequence[JsonRow], conflict: tuple[str, ...]
) -> Iterable[RowChange]:
    there = {_find_key(change.before.exact, conflict): change for change in before if change.before is not None}
    for row in rows:
        inserted = Image({name: read_text(value) for name, value in row.items()}, msgspec.json.encode(row))
        known = there.pop(_find_key(inserted.exact, conflict), None)
        if known is not None:
            yield _change(known, row)
        else:
            yield RowChange(table.schema, table.name, "insert", _list_given(table.key, row), None, inserted)
    yield from there.values()


def _change(change: RowChange, row: JsonRow) -> RowChange:
    """The row with the values that the request gives."""
    assert change.before is not None
    exact = {**change.before.exact, **{name: read_text(value) for name, value in row.items()}}
    shown = msgspec.json.encode({**_decode_row(change.before.shown), **row})
    return replace(change, after=Image(exact, shown), set_columns=tuple(sorted(row)))


def _list_given(key: tuple[str, ...], row: JsonRow) -> tuple[str, ...]:
    """The key of a new row, where the request gives it."""
    return key if row.keys() >= set(key) else ()


def _find_key(exact: Mapping[str, str | None], columns: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple(exact.get(column) for column in columns)


def _read_rows(body: bytes) -> Sequence[JsonRow]:
    """None of a body that is no rows, which the project refuses in its own words."""
    try:
        return decode_rows(body)
    except UnreadableAnswer:
        return ()
