"""Finds what people call the rows that a preview shows: their labels, or those of rows that they refer to."""

from collections.abc import Iterable, Mapping
from itertools import islice

from basewarden.core.brief import make_brief
from basewarden.gateway import NameSource, choose_name
from basewarden.undo.planning.fold import Values
from basewarden.undo.planning.plan import RowPlan, UndoPlan
from basewarden.undo.planning.row_reader import Key, RowReader
from basewarden.undo.planning.samples import CONFLICTS_SHOWN, MAX_LABEL, ROWS_IN_WINDOW, ROWS_SHOWN
from basewarden.undo.row_samples import SampleWindow
from pgrest import Name, Schema

_SLACK = 20
"""A preview may take some of the first rows out again, where the database rejects them."""
_Row = tuple[Name, Key, Values]


async def find_names(
    reader: RowReader, schema: Schema, plan: UndoPlan, window: SampleWindow | None
) -> Mapping[tuple[Name, Key], str]:
    rows = [*_list_rows(plan, window), *_list_conflicts(plan)]
    sources = {
        name: choose_name(schema, schema.tables[name]) for name in {row[0] for row in rows} & schema.tables.keys()
    }
    found: dict[tuple[Name, Key], str] = {}
    for name, source in sources.items():
        of_table = [row for row in rows if row[0] == name]
        if source is not None:
            found.update(await _find_in_table(reader, source, of_table))
    return found


async def _find_in_table(reader: RowReader, source: NameSource, rows: Iterable[_Row]) -> dict[tuple[Name, Key], str]:
    if source.key is None:
        return {(name, key): make_brief(text, MAX_LABEL) for name, key, row in rows if (text := row.get(source.column))}
    wanted = {(name, key): refers for name, key, row in rows if (refers := source.read_key(row)) is not None}
    named = await reader.read_rows(source.table, set(wanted.values()))
    return {
        place: make_brief(text, MAX_LABEL)
        for place, refers in wanted.items()
        if refers in named and (text := named[refers].exact.get(source.column))
    }


def _list_rows(plan: UndoPlan, window: SampleWindow | None) -> Iterable[_Row]:
    by_table: dict[Name, list[RowPlan]] = {}
    for row in plan.writes:
        by_table.setdefault(row.table.qualified, []).append(row)
    if window is not None:
        name = (window.schema, window.table)
        shown = {name: by_table.get(name, [])[window.start : window.start + ROWS_IN_WINDOW + _SLACK]}
    else:
        shown = {name: rows[: ROWS_SHOWN + _SLACK] for name, rows in by_table.items()}
    for name, rows in shown.items():
        for row in rows:
            values: Values = row.target or (row.current.exact if row.current is not None else {})
            yield name, row.target_key or row.current_key or (), values


def _list_conflicts(plan: UndoPlan) -> Iterable[_Row]:
    for conflict in islice(plan.conflicts, CONFLICTS_SHOWN):
        if conflict.image is not None:
            yield (conflict.schema, conflict.table), conflict.key, conflict.image
