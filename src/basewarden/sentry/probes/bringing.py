"""Brings rows of made-up users into a table, and what they refer to into others: as the login, to be rolled back.

Nothing of the project runs meanwhile but what belongs to the login itself or to superusers. Where a row cannot be
brought, the reason says so: an empty table proves nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from basewarden.errors import AppError
from basewarden.sentry.debugger.statements import Place
from basewarden.sentry.error_words import hide_values
from basewarden.sentry.probes.facts import ProbedColumn, ProbedKey, ProbedTable, load_probed
from basewarden.sentry.probes.transaction import WriteTransaction
from basewarden.sentry.probes.values import make_number, make_value
from pgrest import DatabaseError, Statement, quote_ident, quote_literal, quote_name

_MOST_DEPTH: Final = 3
_MOST_ATTEMPTS: Final = 16
_CHECK: Final = "23514"
_REPLICA: Final = Statement("SET LOCAL session_replication_role = replica")
_ORIGIN: Final = Statement("SET LOCAL session_replication_role = origin")
_REFERRED: Final = frozenset({"uuid", "int2", "int4", "int8", "text", "varchar", "bpchar", "numeric", "date"})
"""Built-in types: a cast of another to text may be a function of the project."""


class CannotBringError(Exception):
    """Why there is no row to try; the sentence is shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class RowCell:
    """What goes into a column: SQL with `$?` where the value stands, which is a parameter."""

    column: str
    sql: str
    value: str | None = None

    @property
    def params(self) -> tuple[bytes, ...]:
        return (self.value.encode(),) if self.value is not None else ()


def make_insert(probed: ProbedTable, cells: Sequence[RowCell], ending: str = "") -> Statement:
    table = probed.table.sql_name
    if not cells:
        return Statement(f"INSERT INTO {table} DEFAULT VALUES{ending}")
    params: list[bytes] = []
    parts: list[str] = []
    for cell in cells:
        params += cell.params
        parts.append(cell.sql.replace("$?", f"${len(params)}"))
    names = ", ".join(quote_ident(cell.column) for cell in cells)
    sql = f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({', '.join(parts)}){ending}"
    return Statement(sql, tuple(params))


class RowBringer:
    """Of one transaction. Tables are locked against changes of their definition before they are looked at."""

    def __init__(self, transaction: WriteTransaction) -> None:
        self._transaction = transaction
        self._tables: dict[tuple[str, str], ProbedTable] = {}
        self._kept: dict[tuple[str, str, tuple[str, ...]], Sequence[str]] = {}
        self._is_replica = False
        self._choices: Counter[tuple[str, str, str]] = Counter()
        """How often a check has refused what was chosen for a column."""

    async def open(self) -> None:
        """Triggers and foreign keys rest while rows are brought, where the login may do that."""
        self._is_replica = not isinstance(await self._transaction.keep([_REPLICA, _ORIGIN]), DatabaseError)

    async def look_at(self, schema: str, name: str) -> ProbedTable:
        """Raises CannotBringError."""
        if (schema, name) not in self._tables:
            lock = f"LOCK TABLE {quote_name((schema, name))} IN ROW EXCLUSIVE MODE NOWAIT"
            locked = await self._transaction.keep([Statement(lock)])
            if isinstance(locked, DatabaseError):
                raise CannotBringError(f"{name} could not be locked: {locked.message}.")
            try:
                self._tables[schema, name] = await load_probed(self._transaction, schema, name)
            except AppError as error:
                raise CannotBringError(error.text) from error
            except DatabaseError as error:
                raise CannotBringError(f"{name} could not be looked at ({error.sqlstate}).") from error
            except msgspec.DecodeError as error:  # what a PostgreSQL never answers
                raise CannotBringError(f"{name} could not be looked at.") from error
        return self._tables[schema, name]

    async def bring(self, probed: ProbedTable, given: Mapping[str, str], depth: int = 0) -> Place:
        """A row with `given` in its columns. Raises CannotBringError."""
        reason = probed.explain_bringing(is_replica=self._is_replica)
        if reason is not None:
            raise CannotBringError(reason)
        problem = ""
        for _ in range(_MOST_ATTEMPTS):
            cells = await self.fill(probed, given, depth)
            ending = " RETURNING tableoid::pg_catalog.text, ctid::pg_catalog.text"
            insert = make_insert(probed, cells, ending)
            done = await self._transaction.keep([_REPLICA, insert, _ORIGIN] if self._is_replica else [insert])
            if not isinstance(done, DatabaseError):
                for table, place in done[1 if self._is_replica else 0].rows:
                    return (table or b"").decode(), (place or b"").decode()
                problem = "no row was added"
                break
            problem = hide_values(done) or done.sqlstate
            if done.sqlstate != _CHECK:
                break
            self._choose_others(probed, done.fields.constraint)
        raise CannotBringError(f"{probed.table.name} refused it: {problem}.")

    async def fill(
        self, probed: ProbedTable, given: Mapping[str, str], depth: int = 0, *, is_full: bool = False
    ) -> list[RowCell]:
        """What is not needed is left out, so that the row is as little as can be, unless it `is_full`.

        Raises CannotBringError.
        """
        cells = {name: RowCell(name, "$?", value) for name, value in given.items()}
        for key in probed.facts.keys:
            await self._refer(probed, key, given, cells, depth)
        linked = {name for key in probed.facts.keys for name in key.columns}
        for column in probed.facts.columns:
            if column.is_generated or column.name in cells:
                continue
            is_default_safe = probed.explain_default(column.name) is None
            if column.is_sequence:
                cells[column.name] = RowCell(column.name, "$?", make_number(column))
            elif column.is_not_null and not (column.has_default and is_default_safe):
                cells[column.name] = RowCell(column.name, "$?", self._need_value(probed, column))
            elif column.has_default and not is_default_safe:
                cells[column.name] = RowCell(column.name, "NULL")
            elif is_full and not column.has_default and column.name not in linked:
                value = make_value(probed, column, 0)
                cells[column.name] = RowCell(column.name, "NULL" if value is None else "$?", value)
        return list(cells.values())

    async def bring_users(self, probed: ProbedTable, users: Sequence[str]) -> None:
        """Rows that the owner's columns refer to. Where they cannot be brought, foreign keys refuse the tries."""
        keys = [key for key in probed.facts.keys if set(key.columns) <= set(probed.owner_columns)]
        for key in keys:
            for user in users:
                try:
                    await self._bring_parent(key, {key.others[0]: user}, 0)
                except CannotBringError:
                    return

    async def _refer(
        self, probed: ProbedTable, key: ProbedKey, given: Mapping[str, str], cells: dict[str, RowCell], depth: int
    ) -> None:
        columns = [probed.find_column(name) for name in key.columns]
        if any(one.name in given for one in columns):
            return  # users: they were brought before
        if not any(one.is_not_null and not one.has_default for one in columns):
            return
        if any(one.kind not in _REFERRED for one in columns):
            raise CannotBringError(f"It refers to {key.table} by a type of its own.")
        settings = await self._find_parent(key, depth)
        for column, setting in zip(columns, settings, strict=True):
            sql = f"pg_catalog.current_setting({quote_literal(setting)})::{column.type}"
            cells[column.name] = RowCell(column.name, sql)

    async def _find_parent(self, key: ProbedKey, depth: int) -> Sequence[str]:
        """The settings of the transaction that hold the keys of a row that is there, or was brought."""
        place = (key.schema, key.table, key.others)
        if place not in self._kept:
            parent = await self.look_at(key.schema, key.table)
            kinds = {one.name: one.kind for one in parent.facts.columns}  # one that was renamed meanwhile is not there
            if not parent.is_read_safely or any(kinds.get(name) not in _REFERRED for name in key.others):
                raise CannotBringError(f"It refers to {key.table}, of which no row can be chosen.")
            names = [f"basewarden.key_{len(self._kept)}_{number}" for number in range(len(key.others))]
            if not await self._keep_keys(parent, key, names):
                await self._bring_parent(key, {}, depth)
                if not await self._keep_keys(parent, key, names):
                    raise CannotBringError(f"It refers to {key.table}, which has no row.")
            self._kept[place] = names
        return self._kept[place]

    async def _bring_parent(self, key: ProbedKey, given: Mapping[str, str], depth: int) -> None:
        if depth >= _MOST_DEPTH:
            raise CannotBringError(f"It refers to {key.table}, and that to too many others.")
        parent = await self.look_at(key.schema, key.table)
        if given:
            for further in parent.facts.keys:
                if set(further.columns) == set(given):
                    await self._bring_parent(further, {further.others[0]: next(iter(given.values()))}, depth + 1)
        await self.bring(parent, given, depth + 1)

    async def _keep_keys(self, parent: ProbedTable, key: ProbedKey, names: Sequence[str]) -> bool:
        values = ", ".join(
            f"pg_catalog.set_config({quote_literal(name)}, p.{quote_ident(other)}::pg_catalog.text, true)"
            for name, other in zip(names, key.others, strict=True)
        )
        columns = ", ".join(map(quote_ident, key.others))
        rows = f"(SELECT {columns} FROM {parent.table.sql_name} LIMIT 1) AS p"
        found = await self._transaction.keep([Statement(f"SELECT pg_catalog.num_nulls({values}) FROM {rows}")])
        return not isinstance(found, DatabaseError) and bool(found[0].rows)

    def _choose_others(self, probed: ProbedTable, constraint: str | None) -> None:
        for check in probed.facts.checks:
            if check.name == constraint:
                self._choices[probed.table.schema, probed.table.name, check.column] += 1

    def _need_value(self, probed: ProbedTable, column: ProbedColumn) -> str:
        value = make_value(probed, column, self._choices[probed.table.schema, probed.table.name, column.name])
        if value is None:
            raise CannotBringError(f"Its column {column.name} must have a value of the type {column.type}.")
        return value
