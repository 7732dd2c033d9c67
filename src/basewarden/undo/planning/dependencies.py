"""What each planned row needs of other rows, asked of the database: unique values, parents, children."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from basewarden.undo.planning.plan import Need, RowPlan
from basewarden.undo.planning.row_reader import Key, Match, Reader
from basewarden.undo.receipt import count_rows
from pgrest import ForeignKey, Name, Schema, Table

Values = tuple[str, ...]
Wanted = tuple[int, Values]
"""A row's number, and the values that are asked for"""


@dataclass(frozen=True)
class Situation:
    """The rows that decided for themselves, and where to find them."""

    schema: Schema
    rows: Sequence[RowPlan]

    @cached_property
    def by_current_key(self) -> Mapping[tuple[Name, Key], int]:
        return {
            (row.table.qualified, row.current_key): number
            for number, row in enumerate(self.rows)
            if row.current_key is not None
        }

    @cached_property
    def by_table(self) -> Mapping[Name, Sequence[int]]:
        numbers: dict[Name, list[int]] = {}
        for number, row in enumerate(self.rows):
            numbers.setdefault(row.table.qualified, []).append(number)
        return numbers

    def list_values(
        self, table: Table, columns: Sequence[str], read: Callable[[RowPlan, Sequence[str]], Values | None]
    ) -> list[Wanted]:
        """Of the table's rows, those for which `read` tells values. Of very many rows this takes long."""
        found = ((number, read(self.rows[number], columns)) for number in self.by_table.get(table.qualified, ()))
        return [(number, values) for number, values in found if values is not None]


async def collect_needs(reader: Reader, schema: Schema, rows: Sequence[RowPlan]) -> list[Need]:
    situation = Situation(schema, rows)
    needs: list[Need] = []
    await asyncio.to_thread(lambda: (situation.by_table, situation.by_current_key))
    for name in situation.by_table:
        table = rows[situation.by_table[name][0]].table
        for unique in table.unique_keys:
            needs += await _need_free_values(reader, situation, table, unique.columns)
        for key in filter(_needs_equals, table.foreign_keys_out):
            needs += await _need_parents(reader, situation, table, key)
        for key in filter(_needs_equals, table.foreign_keys_in):
            needs += await _need_no_children(reader, situation, table, key)
    return needs


def _needs_equals(key: ForeignKey) -> bool:
    """Whether periods are covered only the database tells; it checks them when all is written."""
    return key.is_enforced and not key.is_temporal


async def _need_free_values(reader: Reader, situation: Situation, table: Table, columns: Sequence[str]) -> list[Need]:
    """A unique value goes back only where nobody else has it, or its holder gives it up in this undo."""
    wanted = await asyncio.to_thread(situation.list_values, table, columns, _gained)
    matches = await reader.find_holders(table, columns, [values for _, values in wanted])
    return await asyncio.to_thread(_need_holders, situation, table, columns, wanted, matches)


def _need_holders(
    situation: Situation, table: Table, columns: Sequence[str], wanted: Sequence[Wanted], matches: Iterable[Match]
) -> list[Need]:
    needs = []
    for match in matches:
        number, values = wanted[match.wanted]
        holder = situation.by_current_key.get((table.qualified, match.key)) if match.key else None
        if holder == number:
            continue
        leaves = holder is not None and not situation.rows[holder].holds_later(columns, values)
        reason = f"Another row has its {', '.join(columns)} now."
        needs.append(Need(number, holder if leaves else None, reason, tuple(columns)))
    return needs


async def _need_parents(reader: Reader, situation: Situation, table: Table, key: ForeignKey) -> list[Need]:
    wanted = await asyncio.to_thread(situation.list_values, table, key.columns, _gained)
    if not wanted:
        return []
    parent = situation.schema.tables[key.ref_table]
    distinct = list(dict.fromkeys(values for _, values in wanted))
    matches = await reader.find_holders(parent, key.ref_columns, distinct)
    return await asyncio.to_thread(_need_coming, situation, parent, key, wanted, distinct, matches)


def _need_coming(
    situation: Situation,
    parent: Table,
    key: ForeignKey,
    wanted: Sequence[Wanted],
    distinct: Sequence[Values],
    matches: Iterable[Match],
) -> list[Need]:
    staying = set()
    for match in matches:
        values = distinct[match.wanted]
        holder = situation.by_current_key.get((parent.qualified, match.key)) if match.key else None
        if holder is None or situation.rows[holder].holds_later(key.ref_columns, values):
            staying.add(values)
    coming = _find_coming(situation, parent, key)
    reason = f"The row of {_name(parent)} that it belongs to is gone."
    return [
        Need(number, coming.get(values), reason, key.columns)
        for number, values in wanted
        if values not in staying and coming.get(values) != number
    ]


def _find_coming(situation: Situation, parent: Table, key: ForeignKey) -> Mapping[Values, int]:
    """The parents that this undo brings back, by the values that children refer to."""
    return {values: number for number, values in situation.list_values(parent, key.ref_columns, _gained)}


async def _need_no_children(reader: Reader, situation: Situation, table: Table, key: ForeignKey) -> list[Need]:
    """Rows that still refer to one that must go would be deleted, changed or left hanging: whatever ON DELETE says."""
    wanted = await asyncio.to_thread(situation.list_values, table, key.ref_columns, _lost)
    if not wanted:
        return []
    child = situation.schema.tables[key.table]
    matches = await reader.find_holders(child, key.columns, [values for _, values in wanted])
    return await asyncio.to_thread(_need_leaving, situation, child, key, wanted, matches)


def _need_leaving(
    situation: Situation, child: Table, key: ForeignKey, wanted: Sequence[Wanted], matches: Iterable[Match]
) -> list[Need]:
    strangers: Counter[int] = Counter()
    needs = []
    for match in matches:
        number, values = wanted[match.wanted]
        holder = situation.by_current_key.get((child.qualified, match.key)) if match.key else None
        if holder is None or situation.rows[holder].holds_later(key.columns, values):
            strangers[number] += 1
        elif holder != number:
            needs.append(Need(number, holder, f"A row of {_name(child)} that refers to it stays as it is."))
    needs += [
        Need(number, None, f"{count_rows(count)} of {_name(child)} refer to it since.")
        for number, count in strangers.items()
    ]
    return needs


def _gained(row: RowPlan, columns: Sequence[str]) -> Values | None:
    """What the row will hold in `columns` and does not hold now; None with a null among them."""
    if row.target is None or row.action == "nothing":
        return None
    values = tuple(row.target.get(name) for name in columns)
    if row.current is not None and values == tuple(row.current.exact.get(name) for name in columns):
        return None
    return _complete(values)


def _lost(row: RowPlan, columns: Sequence[str]) -> Values | None:
    """What the row holds in `columns` now and will not hold then."""
    if row.current is None or row.action == "nothing":
        return None
    values = _complete(row.current.exact[name] for name in columns)
    return None if values is None or row.holds_later(columns, values) else values


def _complete(values: Iterable[str | None]) -> Values | None:
    found = tuple(values)
    return None if None in found else tuple(value or "" for value in found)


def _name(table: Table) -> str:
    return f"{table.schema}.{table.name}"
