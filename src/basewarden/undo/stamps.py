"""Putting right what triggers wrote over: the same columns once more, with the table's own triggers off.

Replica mode needs a right that few roles have, and would also switch foreign keys off: it is used where it is
allowed and harmless. Else the owner disables each trigger and puts each back exactly as it was, inside the
transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from basewarden.pgrest import Connection, DatabaseError, Statement, Table, quote_ident
from basewarden.undo.steps import Step, write_alone

_SAVE = Statement("SAVEPOINT bw_stamps")
_RELEASE = Statement("RELEASE SAVEPOINT bw_stamps")
_ROLL_BACK = Statement("ROLLBACK TO SAVEPOINT bw_stamps")
_LOCK_TIMEOUT = Statement("SELECT set_config('lock_timeout', '3s', true)")
_REPLICA = Statement("SELECT set_config('session_replication_role', 'replica', true)")
_READ_MODE = Statement("SELECT current_setting('session_replication_role')")
_ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
_NOT_ALLOWED = ("42501", "55P03", "40P01")  # no such right, or the table is busy

_LIST_TRIGGERS = """
    SELECT n.nspname, c.relname, g.tgname, g.tgenabled
    FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT g.tgisinternal AND g.tgenabled <> 'D'
      AND g.tgrelid IN (SELECT $1::text::oid UNION SELECT relid FROM pg_partition_tree($1::text::oid))
    ORDER BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class _ActiveTrigger:
    schema: str
    table: str
    name: str
    enabled: str

    def switch(self, how: str) -> Statement:
        table = f"{quote_ident(self.schema)}.{quote_ident(self.table)}"
        return Statement(f"ALTER TABLE ONLY {table} {how} TRIGGER {quote_ident(self.name)}")


async def write_without_triggers(connection: Connection, step: Step) -> bool:
    """False, and nothing written, where the connection's role is not allowed to."""
    triggers = await _list_triggers(connection, step.table)
    if _is_harmless(step, triggers) and await _try_writing(connection, await _in_replica_mode(connection, step)):
        return True
    return await _try_writing(connection, _with_disabled(step, triggers))


async def _list_triggers(connection: Connection, table: Table) -> list[_ActiveTrigger]:
    (rows,) = await connection.run([Statement(_LIST_TRIGGERS, (str(table.oid).encode(),))])
    return [_ActiveTrigger(*((value or b"").decode() for value in row)) for row in rows.rows]


def _is_harmless(step: Step, triggers: Sequence[_ActiveTrigger]) -> bool:
    """No foreign key would be passed over, and no trigger runs in replica mode just the same."""
    table = step.table
    linked = {name for key in table.foreign_keys_out for name in key.columns}
    linked |= {name for key in table.foreign_keys_in for name in key.ref_columns}
    return linked.isdisjoint(step.columns) and all(trigger.enabled == "O" for trigger in triggers)


async def _in_replica_mode(connection: Connection, step: Step) -> list[Statement]:
    (rows,) = await connection.run([_READ_MODE])
    restore = Statement("SELECT set_config('session_replication_role', $1, true)", (rows.rows[0][0],))
    return [_REPLICA, write_alone(step), restore]


def _with_disabled(step: Step, triggers: Sequence[_ActiveTrigger]) -> list[Statement]:
    """A waiting ALTER TABLE stands in everybody's way, so it does not wait long."""
    disable = [trigger.switch("DISABLE") for trigger in triggers]
    enable = [trigger.switch(_ENABLE[trigger.enabled]) for trigger in triggers]
    return [_LOCK_TIMEOUT, *disable, write_alone(step), *enable]


async def _try_writing(connection: Connection, statements: Sequence[Statement]) -> bool:
    await connection.run([_SAVE])
    try:
        await connection.run([*statements, _RELEASE])
    except DatabaseError as error:
        if error.sqlstate not in _NOT_ALLOWED:
            raise
        await connection.run([_ROLL_BACK, _RELEASE])
        return False
    return True
