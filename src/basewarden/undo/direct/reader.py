"""Reads rows in the project's database by the exact text of some columns, many at once, in a fixed order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from basewarden.gateway.direct import ROW_ALIAS, read_images, run_as_owner, select_images
from basewarden.journal import Image
from basewarden.undo.direct.column_defaults import read_defaults
from basewarden.undo.direct.generated_columns import compute_generated
from basewarden.undo.direct.row_source import WANTED, quote_table, unnest_rows
from basewarden.undo.direct.unique_collisions import find_index_dependencies
from basewarden.undo.planning.plan import Dependency, RowPlan
from basewarden.undo.planning.row_reader import Exact, HolderMatch, Key
from pgrest import Builder, DbConnection, Name, Statement, Table, quote_ident, same_sql

ROWS_AT_ONCE = 4_000
"""Rows of one round trip: decoding so many occupies the event loop for some 20 ms."""

_PARENTS_OF_OTHERS = Statement(
    """
    SELECT DISTINCT n.nspname, c.relname FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r'
    """
)


@dataclass(frozen=True, slots=True)
class DatabaseReader:
    """Reads in the caller's transaction; `lock` locks the rows until it ends."""

    connection: DbConnection
    lock: bool

    async def list_ambiguous_tables(self) -> set[Name]:
        """Puts the transaction under AS_OWNER."""
        (inherited,) = await run_as_owner(self.connection, [_PARENTS_OF_OTHERS])
        return {((name or b"").decode(), (local or b"").decode()) for name, local in inherited.rows}

    async def read_rows(self, table: Table, keys: Iterable[Key]) -> dict[Key, Image]:
        return await read_rows(self.connection, table, keys, lock=self.lock)

    async def read_defaults(self, table: Table, columns: Sequence[str]) -> dict[str, str | None]:
        return await read_defaults(self.connection, table, columns)

    async def compute_generated(self, rows: Sequence[RowPlan]) -> Sequence[RowPlan]:
        return await compute_generated(self.connection, rows)

    async def find_holders(self, table: Table, columns: Sequence[str], values: Sequence[Exact]) -> list[HolderMatch]:
        return await find_holders(self.connection, table, columns, values)

    async def list_further_dependencies(
        self, rows: Sequence[RowPlan], _needs: Sequence[Dependency]
    ) -> list[Dependency]:
        return await find_index_dependencies(self.connection, rows)


async def read_rows(connection: DbConnection, table: Table, keys: Iterable[Key], *, lock: bool) -> dict[Key, Image]:
    """Returns whole rows that exist, and locks them in the order of their keys, so that two undos never deadlock."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    builder = Builder()
    join = _join_wanted(builder, table, table.key, wanted)
    statement = select_images(builder, table, f" {join} ORDER BY {WANTED}.ord", lock=lock)
    (rows,) = await connection.run([statement])
    return {located.image.key(table.key): located.image for located in read_images(table, rows)}


async def find_holders(
    connection: DbConnection, table: Table, columns: Sequence[str], values: Sequence[Exact]
) -> list[HolderMatch]:
    """Finds the rows that hold `values` in `columns`; a table without a key gives empty keys."""
    found: list[HolderMatch] = []
    for start in range(0, len(values), ROWS_AT_ONCE):
        part = await _find_holders(connection, table, columns, values[start : start + ROWS_AT_ONCE])
        found += [HolderMatch(start + match.wanted, match.key) for match in part]
    return found


async def _find_holders(
    connection: DbConnection, table: Table, columns: Sequence[str], values: Sequence[Exact]
) -> list[HolderMatch]:
    builder = Builder()
    join = _join_wanted(builder, table, columns, values)
    keys = "".join(f", {ROW_ALIAS}.{quote_ident(name)}" for name in table.key)
    statement = builder.statement(f"SELECT {WANTED}.ord{keys} FROM {quote_table(table)} AS {ROW_ALIAS} {join}")
    (rows,) = await connection.run([statement])
    return [HolderMatch(int(row[0] or 0) - 1, tuple((value or b"").decode() for value in row[1:])) for row in rows.rows]


def _join_wanted(builder: Builder, table: Table, columns: Sequence[str], values: Sequence[Exact]) -> str:
    names = [f"c{index}" for index in range(len(columns))]
    match = " AND ".join(
        same_sql(table, column, f"{ROW_ALIAS}.{quote_ident(column)}", f"{WANTED}.{name}::{table.columns[column].type}")
        for column, name in zip(columns, names, strict=True)
    )
    return f"JOIN {unnest_rows(builder, values, names)} ON {match}"
