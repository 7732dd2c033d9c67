"""Finds what people call the rows that a preview shows: their labels, or those of rows that they refer to."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from basewarden.core.brief import make_brief
from basewarden.core.row_labels import LABEL_NAMES, NAMES_JOIN
from basewarden.gateway import NameSource, choose_label, choose_names
from basewarden.undo.planning.fold import Values
from basewarden.undo.planning.plan import RowPlan, UndoPlan
from basewarden.undo.planning.row_reader import Key, RowReader
from basewarden.undo.planning.samples import MAX_LABEL, ROWS_IN_WINDOW, ROWS_SHOWN, sort_conflicts
from basewarden.undo.row_samples import SampleWindow
from pgrest import Name, Schema, Table

_SLACK = 20
"""A preview may take some of the first rows out again, where the database rejects them."""
_Row = tuple[Name, Key, Values]
_Names = Mapping[tuple[Name, Key], str]


async def find_names(reader: RowReader, schema: Schema, plan: UndoPlan, window: SampleWindow | None) -> _Names:
    """Also names the rows that the shown values of foreign keys refer to."""
    shown = _list_shown(plan, window)
    rows = [*map(_as_row, shown), *_list_conflicts(plan, window)]
    labels = _Labels(reader, plan)
    found: dict[tuple[Name, Key], str] = {}
    for name in {row[0] for row in rows} & schema.tables.keys():
        of_table = [row for row in rows if row[0] == name]
        sources = choose_names(schema, schema.tables[name])
        found.update(_join_names([await _find_in_table(labels, source, of_table) for source in sources]))
    for table, keys in _list_references(schema, shown).items():
        wanted = {key for key in keys if (table, key) not in found}
        found.update({(table, key): text for key, text in (await labels.read(schema.tables[table], wanted)).items()})
    return found


class _Labels:
    """Reads labels of rows as they are, or as the undo restores them."""

    def __init__(self, reader: RowReader, plan: UndoPlan) -> None:
        self._reader = reader
        self._restored: dict[tuple[Name, Key], Values] = {
            (row.table.qualified, row.target_key or ()): row.target
            for row in plan.writes
            if row.action == "insert" and row.target is not None
        }

    async def read(self, table: Table, keys: Iterable[Key]) -> dict[Key, str]:
        column, wanted = choose_label(table), set(keys)
        if column is None or not wanted:
            return {}
        rows: dict[Key, Values] = {key: self._restored.get((table.qualified, key), {}) for key in wanted}
        rows |= {key: image.exact for key, image in (await self._reader.read_rows(table, wanted)).items()}
        return {key: make_brief(text, MAX_LABEL) for key, row in rows.items() if (text := row.get(column))}


async def _find_in_table(labels: _Labels, source: NameSource, rows: Iterable[_Row]) -> dict[tuple[Name, Key], str]:
    if source.key is None:
        return {(name, key): make_brief(text, MAX_LABEL) for name, key, row in rows if (text := row.get(source.column))}
    wanted = {(name, key): refers for name, key, row in rows if (refers := source.read_key(row)) is not None}
    named = await labels.read(source.table, wanted.values())
    return {place: named[refers] for place, refers in wanted.items() if refers in named}


def _join_names(parts: Sequence[_Names]) -> dict[tuple[Name, Key], str]:
    found: dict[tuple[Name, Key], list[str]] = {}
    for place, text in (item for part in parts for item in part.items()):
        found.setdefault(place, []).append(text)
    return {place: make_brief(NAMES_JOIN.join(texts), MAX_LABEL) for place, texts in found.items()}


def _list_references(schema: Schema, rows: Iterable[RowPlan]) -> dict[Name, set[Key]]:
    """The keys of other rows among the values that are shown, by table."""
    found: dict[Name, set[Key]] = {}
    for row in rows:
        for key in row.table.foreign_keys_out:
            target = schema.tables.get(key.ref_table)
            if target is None or choose_label(target) not in LABEL_NAMES or key.ref_columns != target.key:
                continue
            images = (row.current.exact if row.current is not None else None, row.target)
            values = [image.get(key.columns[0]) for image in images if image is not None and len(key.columns) == 1]
            found.setdefault(key.ref_table, set()).update((value,) for value in values if value is not None)
    return found


def _list_shown(plan: UndoPlan, window: SampleWindow | None) -> Sequence[RowPlan]:
    by_table: dict[Name, list[RowPlan]] = {}
    for row in plan.writes:
        by_table.setdefault(row.table.qualified, []).append(row)
    if window is not None:
        return by_table.get((window.schema, window.table), [])[window.start : window.start + ROWS_IN_WINDOW + _SLACK]
    return [row for rows in by_table.values() for row in rows[: ROWS_SHOWN + _SLACK]]


def _as_row(row: RowPlan) -> _Row:
    values: Values = row.target or (row.current.exact if row.current is not None else {})
    return row.table.qualified, row.target_key or row.current_key or (), values


def _list_conflicts(plan: UndoPlan, window: SampleWindow | None) -> Iterable[_Row]:
    start = 0 if window is None else window.start
    if window is not None and not window.is_of_conflicts:
        return
    for conflict in islice(sort_conflicts((*plan.conflicts, *plan.overwritten_edits)), start, start + ROWS_IN_WINDOW):
        if conflict.image is not None:
            yield (conflict.schema, conflict.table), conflict.key, conflict.image
