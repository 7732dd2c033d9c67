"""All SQL of backup, restore and the doctor; backup and restore use psycopg itself for COPY."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import select, text

from basewarden.db import ReadSession
from basewarden.vault import SealedColumn

MUTATIONS = "journal_mutations"
QUEUE = "procrastinate_"
VERSION = "alembic_version"
# What COPY writes and reads must not depend on how a server, a database or a role is set.
_OUTPUT = {
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "lock_timeout": "30s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_KEY_ID = "substring({column} FROM 2 FOR 4)"  # behind the version byte, see the vault
_ENABLE = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class TableShape:
    """`columns` are without those that the database computes."""

    name: str
    columns: list[str]


@dataclass(frozen=True, slots=True)
class TriggerState:
    """`mode` as in pg_trigger.tgenabled."""

    table: str
    name: str
    mode: str


async def list_tables(connection: Connection) -> list[TableShape]:
    """Lists the tables of our schema without partitions, which are read and written through their parents."""
    rows = await connection.execute(
        "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
        " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " GROUP BY c.oid, c.relname ORDER BY c.relname"
    )
    return [TableShape(*row) for row in await rows.fetchall()]


async def list_references(connection: Connection) -> list[tuple[str, str]]:
    """Lists child and parent of each foreign key, except those that refer to their own table."""
    rows = await connection.execute(
        "SELECT child.relname::text, parent.relname::text FROM pg_constraint con"
        " JOIN pg_class child ON child.oid = con.conrelid JOIN pg_class parent ON parent.oid = con.confrelid"
        " WHERE con.contype = 'f' AND con.conparentid = 0 AND con.conrelid <> con.confrelid"
        " AND child.relnamespace = current_schema()::regnamespace"
    )
    return list(await rows.fetchall())


async def list_partitions(connection: Connection) -> list[str]:
    rows = await connection.execute(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(%s) ORDER BY 1",
        (MUTATIONS,),
    )
    return [name for (name,) in await rows.fetchall()]


async def make_partition(connection: Connection, name: str, start: date, end: date) -> None:
    statement = sql.SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})")
    bounds = (sql.Literal(f"{start} 00:00+00"), sql.Literal(f"{end} 00:00+00"))
    await connection.execute(statement.format(sql.Identifier(name), sql.Identifier(MUTATIONS), *bounds))


async def list_sequences(connection: Connection, tables: Sequence[str]) -> list[str]:
    """Lists the sequences that belong to a column of these tables."""
    rows = await connection.execute(
        "SELECT DISTINCT s.relname::text FROM pg_class s"
        " JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')"
        " JOIN pg_class t ON t.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass"
        " WHERE s.relkind = 'S' AND s.relnamespace = current_schema()::regnamespace AND t.relname = ANY(%s) ORDER BY 1",
        (list(tables),),
    )
    return [name for (name,) in await rows.fetchall()]


async def read_sequence(connection: Connection, name: str) -> tuple[int, bool]:
    rows = await connection.execute(sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(name)))
    row = await rows.fetchone()
    assert row
    return row[0], row[1]


async def set_sequence(connection: Connection, name: str, value: int, *, is_called: bool) -> None:
    await connection.execute("SELECT setval(quote_ident(%s)::regclass, %s, %s)", (name, value, is_called))


async def list_insert_triggers(connection: Connection, tables: Sequence[str]) -> list[TriggerState]:
    """Lists our own enabled triggers, without those of foreign keys."""
    rows = await connection.execute(
        "SELECT t.relname::text, g.tgname::text, g.tgenabled::text FROM pg_trigger g"
        " JOIN pg_class t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgtype & 4 <> 0"
        " AND t.relnamespace = current_schema()::regnamespace AND t.relname = ANY(%s) ORDER BY 1, 2",
        (list(tables),),
    )
    return [TriggerState(*row) for row in await rows.fetchall()]


async def turn_off(connection: Connection, trigger: TriggerState) -> None:
    statement = sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}")
    await connection.execute(statement.format(sql.Identifier(trigger.table), sql.Identifier(trigger.name)))


async def turn_on(connection: Connection, trigger: TriggerState) -> None:
    """Restores the trigger's earlier mode."""
    how = sql.SQL(_ENABLE[trigger.mode])
    statement = sql.SQL("ALTER TABLE {} {} TRIGGER {}")
    await connection.execute(statement.format(sql.Identifier(trigger.table), how, sql.Identifier(trigger.name)))


async def fix_output(connection: Connection) -> None:
    for name, value in _OUTPUT.items():
        await connection.execute("SELECT set_config(%s, %s, false)", (name, value))


async def begin_snapshot(connection: Connection, tables: Sequence[str]) -> None:
    """Locks first, so that the snapshot is taken after any change of the tables."""
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    await _lock(connection, tables, sql.SQL("ACCESS SHARE"))


async def lock_for_restore(connection: Connection, tables: Sequence[str]) -> None:
    await _lock(connection, tables, sql.SQL("EXCLUSIVE"))


async def _lock(connection: Connection, tables: Sequence[str], mode: sql.SQL) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, tables))
    await connection.execute(sql.SQL("LOCK TABLE {} IN {} MODE").format(names, mode))


def copy_out(table: TableShape) -> sql.Composed:
    return sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(_columns(table), sql.Identifier(table.name))


def copy_in(table: TableShape) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), _columns(table))


def _columns(table: TableShape) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, table.columns))


async def is_filled(connection: Connection, table: str) -> bool:
    rows = await connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(table)))
    return bool((await rows.fetchone() or (False,))[0])


async def empty(connection: Connection, tables: Sequence[str]) -> None:
    for table in tables:
        await connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))


async def find_revision(connection: Connection) -> str | None:
    """The version of our migrations; None if none has run."""
    rows = await connection.execute("SELECT to_regclass(%s) IS NOT NULL", (VERSION,))
    if not (await rows.fetchone() or (False,))[0]:
        return None
    rows = await connection.execute(sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(VERSION)))
    row = await rows.fetchone()
    return row[0] if row else None


async def count_other_processes(connection: Connection) -> int:
    """Counts db connections of serving processes."""
    rows = await connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND application_name IN ('basewarden', 'basewarden jobs')"
    )
    return int((await rows.fetchone() or (0,))[0])


async def list_key_ids(connection: Connection, sealed: SealedColumn) -> list[bytes]:
    column = sql.Identifier(sealed.column.name)
    query = sql.SQL("SELECT DISTINCT {} FROM {} WHERE {} IS NOT NULL").format(
        sql.SQL(_KEY_ID).format(column=column), sql.Identifier(sealed.table.name), column
    )
    return [bytes(key_id) for (key_id,) in await (await connection.execute(query)).fetchall()]


async def list_sealed(
    session: ReadSession, sealed: SealedColumn, *, after: UUID | None, limit: int
) -> list[tuple[UUID, bytes]]:
    row_id = sealed.table.c.id
    query = select(row_id, sealed.column).where(sealed.column.is_not(None)).order_by(row_id).limit(limit)
    if after is not None:
        query = query.where(row_id > after)
    return [(found_id, value) for found_id, value in await session.execute(query)]


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`may_create`: in our schema, as migrations and the journal's monthly partitions need."""

    version: str
    role: str
    is_superuser: bool
    may_create: bool
    now: datetime
    size: int


async def read_database_facts(session: ReadSession) -> DatabaseFacts:
    query = text(
        "SELECT current_setting('server_version'), current_user::text, current_setting('is_superuser') = 'on',"
        " has_schema_privilege(current_schema(), 'CREATE'), clock_timestamp(), pg_database_size(current_database())"
    )
    return DatabaseFacts(*(await session.execute(query)).one())


async def find_revision_of(session: ReadSession) -> str | None:
    if not await session.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL")):
        return None
    revision: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


async def list_unusable_tables(session: ReadSession) -> list[str]:
    """Lists tables of our schema that our role may not read or write."""
    query = text(
        "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')"
        " AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')) ORDER BY 1"
    )
    return list(await session.scalars(query))


async def list_missing_tables(session: ReadSession, names: Sequence[str]) -> list[str]:
    query = text("SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE to_regclass(name) IS NULL")
    return list(await session.scalars(query, {"names": list(names)}))


@dataclass(frozen=True, slots=True)
class PendingWrites:
    """`connections`: the number of connections that these writes belong to."""

    count: int
    connections: int


async def count_stale_writes(session: ReadSession, older_than: timedelta) -> PendingWrites:
    query = text(
        "SELECT count(*), count(DISTINCT connection_id) FROM journal_writes"
        " WHERE state = 'pending' AND at < now() - CAST(:age AS interval)"
    )
    return PendingWrites(*(await session.execute(query, {"age": older_than})).one())
