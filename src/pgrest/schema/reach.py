"""Which tables a write may change rows of, and whether they are still as the snapshot says.

The question goes by indexes alone, so it may be asked along with every write.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache

from pgrest.config import Name
from pgrest.schema.catalog_version import STAMP
from pgrest.schema.model import ForeignKey, Schema, Table
from pgrest.sql.text import Statement, array_literal, quote_name
from pgrest.wire.connection import Rows

CHANGES_CHILDREN = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
"""The actions of a foreign key that change child rows instead of refusing the write."""
# By name, as a write finds its table. The subquery hides from the planner how many tables are asked for: it would make
# a plan for each question.
_STAMPS = f"""
SELECT c.oid, {STAMP} FROM pg_catalog.unnest((SELECT $1::pg_catalog.text[])) AS asked(name)
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(asked.name)
"""


class Reaches(Mapping[Name, tuple[Name, ...]]):
    """Each found when it is first asked for. A table that foreign keys lead to without acting on it is out of reach."""

    def __init__(self, tables: Mapping[Name, Table]) -> None:
        self._tables = tables
        self._found: dict[Name, tuple[Name, ...]] = {}
        self._partitions: dict[Name, list[Table]] = defaultdict(list)
        for table in tables.values():
            if table.root is not None:
                self._partitions[table.root].append(table)

    def __getitem__(self, table: Name) -> tuple[Name, ...]:
        found = self._found.get(table)
        if found is None:
            found = self._found[table] = self._find(table)
        return found

    def __iter__(self) -> Iterator[Name]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def _find(self, table: Name) -> tuple[Name, ...]:
        reached = {table: self._tables[table]}
        waiting = [table]
        while waiting:
            for key in self._list_keys_in(waiting.pop()):
                for name in (key.table, self._tables[key.table].root):
                    if name is not None and name not in reached and _acts(key):
                        reached[name] = self._tables[name]
                        waiting.append(name)
        return tuple(reached)

    def _list_keys_in(self, table: Name) -> list[ForeignKey]:
        """Those that lead to one partition alone may act on a row of the whole."""
        parts = self._partitions.get(table, ())
        return [key for one in (self._tables[table], *parts) for key in one.foreign_keys_in]


def _acts(key: ForeignKey) -> bool:
    return key.on_delete in CHANGES_CHILDREN or key.on_update in CHANGES_CHILDREN


def reach_check(schema: Schema, table: Name) -> Statement:
    """To be asked after a write, when its locks keep every change away; `is_reach_current` reads the answer."""
    return Statement(_STAMPS, (array_literal(quote_name(name) for name in schema.reaches[table]).encode(),))


def is_reach_current(schema: Schema, table: Name, rows: Rows) -> bool:
    """False where something *may* have changed: the caller then compares the tables themselves."""
    stamps_by_oid = {int(oid or 0): (stamp or b"").decode() for oid, stamp in rows.rows}
    oids = [schema.tables[name].oid for name in schema.reaches[table]]
    return all(stamps_by_oid.get(oid) == schema.stamps.get(oid) for oid in oids)


def table_check(table: Name, also: str) -> Statement:
    """The same of one table alone, for a write that reaches no other; `also` are more expressions to select."""
    return Statement(_table_check_sql(also), (quote_name(table).encode(),))


@lru_cache(maxsize=16)
def _table_check_sql(also: str) -> str:
    found = "c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1::pg_catalog.text)"
    return f"SELECT c.oid, {STAMP}, {also} FROM pg_catalog.pg_class c WHERE {found}"


def is_table_current(schema: Schema, table: Name, oid: bytes | None, stamp: bytes | None) -> bool:
    """`oid` and `stamp` are what `table_check` tells first."""
    known = schema.tables[table].oid
    return int(oid or 0) == known and (stamp or b"").decode() == schema.stamps.get(known)
