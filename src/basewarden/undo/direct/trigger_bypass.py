"""Writes columns that triggers overwrote again, bypassing the table's triggers.

There are three ways, and none is always available. Replica mode needs a privilege that few roles have, and would also
turn off foreign keys: it is used where it is allowed and harmless. The table's owner may disable each trigger and
enable it again as it was, inside the transaction, if no others write to the table. And where triggers run on updates
only, a row can be deleted and inserted again, which needs neither ownership of the table nor a lock on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from basewarden.journal import Image
from basewarden.undo.direct.replaceable_rows import find_children
from basewarden.undo.direct.run_writes import run_writes
from basewarden.undo.direct.statements import Step, make_update, merge_steps, split_steps
from pgrest import DatabaseError, DbConnection, Statement, Table, quote_ident

BypassFailure = Literal["busy", "not allowed"]

_SAVE = Statement("SAVEPOINT bw_stamps")
_RELEASE = Statement("RELEASE SAVEPOINT bw_stamps")
_ROLL_BACK = Statement("ROLLBACK TO SAVEPOINT bw_stamps")
_SHORT, _LONG = b"100ms", b"3s"
_READ_SETTINGS = Statement("SELECT current_setting('session_replication_role'), current_setting('lock_timeout')")
_ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
_BUSY = ("55P03", "40P01")
_NOT_ALLOWED = "42501"
_INSERT_OR_DELETE = 4 | 8  # bits of pg_trigger.tgtype

_LIST_TRIGGERS = """
    SELECT n.nspname, c.relname, g.tgname, g.tgenabled, g.tgtype
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT g.tgisinternal AND g.tgenabled <> 'D'
      AND g.tgrelid IN (SELECT $1::text::oid UNION SELECT relid FROM pg_partition_tree($1::text::oid))
    ORDER BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class ColumnRestore:
    """A row as it is, and the values to restore in some columns."""

    image: Image
    values: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class _ActiveTrigger:
    schema: str
    table: str
    name: str
    enabled: str
    bits: str

    def switch(self, how: str) -> Statement:
        table = f"{quote_ident(self.schema)}.{quote_ident(self.table)}"
        return Statement(f"ALTER TABLE ONLY {table} {how} TRIGGER {quote_ident(self.name)}")


async def write_bypassing_triggers(
    connection: DbConnection, table: Table, rows: Sequence[ColumnRestore]
) -> tuple[BypassFailure | None, int]:
    """Returns why rows could not be written (None: all were), and how many were deleted and inserted."""
    triggers = await _list_triggers(connection, table)
    steps = _make_steps(table, rows)
    (settings,) = await connection.run([_READ_SETTINGS])
    mode, timeout = settings.rows[0]
    if _is_harmless(table, steps, triggers) and await _try(connection, _in_replica_mode(steps, mode)) is None:
        return None, 0
    left = await _try(connection, _with_disabled(steps, triggers, _SHORT, timeout))
    if left is None:
        return None, 0
    rest = await _delete_and_insert(connection, table, rows, triggers)
    replaced = len(rows) - len(rest)
    if not rest or left == "not allowed":
        return (left if rest else None), replaced
    return await _try(connection, _with_disabled(_make_steps(table, rest), triggers, _LONG, timeout)), replaced


def _make_steps(table: Table, rows: Sequence[ColumnRestore]) -> list[Step]:
    groups: dict[tuple[str, ...], dict[tuple[str, ...], Sequence[str | None]]] = {}
    for row in rows:
        groups.setdefault(tuple(row.values), {})[row.image.key(table.key)] = tuple(row.values.values())
    return [make_update(table, columns, group) for columns, group in groups.items()]


async def _list_triggers(connection: DbConnection, table: Table) -> list[_ActiveTrigger]:
    (rows,) = await connection.run([Statement(_LIST_TRIGGERS, (str(table.oid).encode(),))])
    return [_ActiveTrigger(*((value or b"").decode() for value in row)) for row in rows.rows]


def _is_harmless(table: Table, steps: Sequence[Step], triggers: Sequence[_ActiveTrigger]) -> bool:
    """Whether replica mode bypasses no foreign key, and no trigger that runs in replica mode too."""
    linked = {name for key in table.foreign_keys_out for name in key.columns}
    linked |= {name for key in table.foreign_keys_in for name in key.ref_columns}
    is_linked = any(not linked.isdisjoint(step.columns) for step in steps)
    return not is_linked and all(trigger.enabled == "O" for trigger in triggers)


def _in_replica_mode(steps: Sequence[Step], mode: bytes | None) -> list[Statement]:
    return [_set_mode(b"replica"), *_merge(steps), _set_mode(mode)]


def _merge(steps: Sequence[Step]) -> list[Statement]:
    return [merge_steps(part) for part in split_steps(steps)]


def _set_mode(mode: bytes | None) -> Statement:
    return Statement("SELECT pg_catalog.set_config('session_replication_role', $1, true)", (mode,))


def _with_disabled(
    steps: Sequence[Step], triggers: Sequence[_ActiveTrigger], wait: bytes, timeout: bytes | None
) -> list[Statement]:
    """An ALTER TABLE that waits blocks all others, so its wait is limited."""
    disable = [trigger.switch("DISABLE") for trigger in triggers]
    enable = [trigger.switch(_ENABLE[trigger.enabled]) for trigger in triggers]
    return [_limit_waiting(wait), *disable, *_merge(steps), *enable, _limit_waiting(timeout)]


def _limit_waiting(timeout: bytes | None) -> Statement:
    return Statement("SELECT pg_catalog.set_config('lock_timeout', $1, true)", (timeout,))


async def _delete_and_insert(
    connection: DbConnection, table: Table, rows: Sequence[ColumnRestore], triggers: Sequence[_ActiveTrigger]
) -> Sequence[ColumnRestore]:
    """Deletes and inserts rows where this has no other effect. Returns the rows that remain."""
    if table.has_rules or any(int(trigger.bits) & _INSERT_OR_DELETE for trigger in triggers):
        return rows
    referred = await _find_referred(connection, table, rows)
    free = [row for number, row in enumerate(rows) if number not in referred]
    if not free or await _try(connection, [_make_replacement(table, free)]) is not None:
        return rows
    return [row for number, row in enumerate(rows) if number in referred]


async def _find_referred(connection: DbConnection, table: Table, rows: Sequence[ColumnRestore]) -> set[int]:
    """Rows whose deletion would change other rows."""
    referred: set[int] = set()
    for key in table.foreign_keys_in:
        if key.on_delete != "NO ACTION" and key.is_enforced:
            values = [tuple(row.image.exact[name] for name in key.ref_columns) for row in rows]
            referred.update(await find_children(connection, table, key, values))
    return referred


def _make_replacement(table: Table, rows: Sequence[ColumnRestore]) -> Statement:
    columns = tuple(name for name, column in table.columns.items() if not column.generated)
    keys = tuple(row.image.key(table.key) for row in rows)
    values = tuple(tuple({**row.image.exact, **row.values}[name] for name in columns) for row in rows)
    return merge_steps(
        [Step("delete", table, (), keys, ((),) * len(keys)), Step("insert", table, columns, keys, values)]
    )


async def _try(connection: DbConnection, statements: Sequence[Statement]) -> BypassFailure | None:
    await connection.run([_SAVE])
    try:
        await run_writes(connection, [*statements, _RELEASE])
    except DatabaseError as error:
        if error.sqlstate != _NOT_ALLOWED and error.sqlstate not in _BUSY:
            raise
        await connection.run([_ROLL_BACK, _RELEASE])
        return "busy" if error.sqlstate in _BUSY else "not allowed"
    return None
