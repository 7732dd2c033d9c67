"""Finds rows that hold unique values which others will take, in the database where equality is more than equal text."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from basewarden.gateway.direct import ROW_ALIAS
from basewarden.undo.direct.row_source import WANTED, quote_table, unnest_rows
from basewarden.undo.direct.table_facts import Index, TableFacts, read_facts
from basewarden.undo.planning.plan import Dependency, RowPlan
from basewarden.undo.planning.row_reader import HolderMatch, Key
from pgrest import Builder, DbConnection, Table, quote_ident

_AT_ONCE = 4_000
# Types whose values are equal only if their texts are.
_EQUAL_BY_TEXT = frozenset(
    {
        "smallint", "integer", "bigint", "uuid", "date", "boolean", "text", "character varying",
        "timestamp with time zone", "timestamp without time zone",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Collision:
    """Row number `taker` will hold what row number `holder` holds now."""

    holder: int
    taker: int
    index: Index


async def find_collisions(connection: DbConnection, rows: Sequence[RowPlan], facts: TableFacts) -> list[Collision]:
    """Finds collisions among updates, whose order within a table this undo decides."""
    found = []
    for numbers in _group_updates(rows).values():
        table = rows[numbers[0]].table
        for index in facts.list_indexes(table):
            if index.is_immediate:
                found += await _find_in(connection, rows, numbers, table, index)
    return found


async def _find_in(
    connection: DbConnection, rows: Sequence[RowPlan], numbers: Sequence[int], table: Table, index: Index
) -> list[Collision]:
    takers = await asyncio.to_thread(_list_takers, rows, numbers, index)
    if len(takers) < 2:
        return []
    if index.is_plain(table) and all(table.columns[name].base_type in _EQUAL_BY_TEXT for name in index.columns):
        return await asyncio.to_thread(lambda: list(_find_by_text(rows, takers, index)))
    places = {rows[number].current_key: number for number in takers}
    matches = await find_index_holders(connection, table, index, [rows[number] for number in takers])
    pairs = ((places.get(match.key), takers[match.wanted]) for match in matches)
    return [Collision(holder, taker, index) for holder, taker in pairs if holder is not None and holder != taker]


def _find_by_text(rows: Sequence[RowPlan], takers: Iterable[int], index: Index) -> Iterable[Collision]:
    held: dict[tuple[str | None, ...], int] = {}
    wanted: dict[int, tuple[str | None, ...]] = {}
    for number in takers:
        row = rows[number]
        now = row.current.exact if row.current else {}
        held[tuple(now[name] for name in index.columns)] = number
        wanted[number] = tuple((row.target or {})[name] for name in index.columns)
    for number, values in wanted.items():
        holder = held.get(values)
        if holder is not None and holder != number and None not in values:
            yield Collision(holder, number, index)


def _list_takers(rows: Sequence[RowPlan], numbers: Iterable[int], index: Index) -> list[int]:
    return [number for number in numbers if changes_any(rows[number], index.columns)]


def changes_any(row: RowPlan, columns: Iterable[str]) -> bool:
    """Generated columns count as changed, since the columns that they use may change."""
    if row.current is None or row.target is None:
        return row.action in ("insert", "delete")
    return any(
        name in row.restored or (row.table.columns[name].generated and row.action == "update") for name in columns
    )


def _group_updates(rows: Sequence[RowPlan]) -> Mapping[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        if row.action == "update":
            groups.setdefault(row.table.oid, []).append(number)
    return groups


async def find_index_holders(
    connection: DbConnection, table: Table, index: Index, rows: Sequence[RowPlan]
) -> list[HolderMatch]:
    """Finds rows of the table that now collide with what `rows` will be."""
    found: list[HolderMatch] = []
    for start in range(0, len(rows), _AT_ONCE):
        part = await _find_index_holders(connection, table, index, rows[start : start + _AT_ONCE])
        found += [HolderMatch(start + match.wanted, match.key) for match in part]
    return found


async def _find_index_holders(
    connection: DbConnection, table: Table, index: Index, rows: Sequence[RowPlan]
) -> list[HolderMatch]:
    builder = Builder()
    names = [f"c{number}" for number in range(len(index.columns))]
    values = [tuple((row.target or {}).get(name) for name in index.columns) for row in rows]
    typed = ", ".join(
        f"{WANTED}.{name}::{table.columns[column].type} AS {quote_ident(column)}"
        for column, name in zip(index.columns, names, strict=True)
    )
    source = unnest_rows(builder, values, names)
    parts = ", ".join(f"{part} AS bw_e{number}" for number, part in enumerate(index.parts))
    keys = "".join(f", {quote_ident(name)} AS bw_k{number}" for number, name in enumerate(table.key))
    where = f" WHERE {index.predicate}" if index.predicate else ""
    match = " AND ".join(_collide(index, number) for number in range(len(index.parts)))
    chosen = "".join(f", bw_old.bw_k{number}" for number in range(len(table.key)))
    sql = (
        f"SELECT bw_new.bw_ord{chosen} FROM (SELECT bw_ord, {parts} "
        f"FROM (SELECT {WANTED}.ord AS bw_ord, {typed} FROM {source}) AS {ROW_ALIAS}{where}) AS bw_new "
        f"JOIN (SELECT {parts}{keys} FROM {quote_table(table)} AS {ROW_ALIAS}{where}) AS bw_old ON {match}"
    )
    (found,) = await connection.run([builder.statement(sql)])
    return [
        HolderMatch(int(row[0] or 0) - 1, tuple((value or b"").decode() for value in row[1:])) for row in found.rows
    ]


def _collide(index: Index, number: int) -> str:
    new, old = f"bw_new.bw_e{number}", f"bw_old.bw_e{number}"
    equal = f"{new} {index.operators[number]} {old}"
    return f"({equal} OR ({new} IS NULL AND {old} IS NULL))" if index.nulls_collide else equal


async def find_index_dependencies(connection: DbConnection, rows: Sequence[RowPlan]) -> list[Dependency]:
    """Dependencies by indexes that the snapshot lacks: expressions, partial indexes, colliding NULLs, exclusions."""
    by_table: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        if row.action in ("insert", "update"):
            by_table.setdefault(row.table.oid, []).append(number)
    if not by_table:
        return []
    tables = {oid: rows[numbers[0]].table for oid, numbers in by_table.items()}
    facts = await read_facts(connection, tables.values())
    dependencies = []
    for oid, table in tables.items():
        for index in facts.list_indexes(table):
            if not index.is_plain(table):
                takers = await asyncio.to_thread(_list_takers, rows, by_table[oid], index)
                dependencies += await _depend_on_index_holders(connection, rows, takers, table, index)
    return dependencies


async def _depend_on_index_holders(
    connection: DbConnection, rows: Sequence[RowPlan], takers: Sequence[int], table: Table, index: Index
) -> list[Dependency]:
    if not takers:
        return []
    places: dict[Key | None, int] = {
        row.current_key: number for number, row in enumerate(rows) if row.table.oid == table.oid and row.current
    }
    dependencies = []
    for match in await find_index_holders(connection, table, index, [rows[number] for number in takers]):
        taker, holder = takers[match.wanted], places.get(match.key)
        if holder == taker:
            continue
        leaves = holder is not None and changes_any(rows[holder], index.columns)
        reason = f"Another row has the same values now, and {index.name} allows only one."
        dependencies.append(Dependency(taker, holder if leaves else None, reason, index.columns))
    return dependencies
