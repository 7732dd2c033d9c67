"""The truth about what was committed, by a way that owes nothing to the journal: ordinary audit triggers.

They write every row change of every table, as exact text, into a table of the same transaction. Blind to
one thing only: an undo puts stamped columns back with the table's triggers off.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

Row = Mapping[str, str | None]
Change = tuple[int, str, str, str | None, str | None]
"""Transaction, table, verb, row before and row after (sorted JSON of exact texts)."""

CREATE_AUDIT = """
    CREATE SCHEMA audit;
    CREATE TABLE audit.entries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid text, "table" text, before jsonb, after jsonb
    );
"""
# Every type's text is exact under these, and they are those of the journal's images.
CREATE_TRIGGER = """
    CREATE FUNCTION audit.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET timezone = 'UTC' SET datestyle = 'ISO, MDY' SET intervalstyle = 'postgres'
    SET bytea_output = 'hex' SET extra_float_digits = 1
    AS $$ BEGIN
        INSERT INTO audit.entries (xid, "table", before, after) VALUES (
            pg_current_xact_id()::text, {label},
            CASE WHEN TG_OP <> 'INSERT' THEN jsonb_build_object({old}) END,
            CASE WHEN TG_OP <> 'DELETE' THEN jsonb_build_object({new}) END);
        RETURN NULL;
    END $$;
    CREATE TRIGGER zz_audit AFTER INSERT OR UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION audit.{name}();
"""
LIST_COLUMNS = """
    SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = 'public' AND c.relkind = 'r'
    GROUP BY 1, 2
"""
LIST_ENTRIES = """SELECT xid::bigint, "table", before, after FROM audit.entries ORDER BY id"""
LIST_JOURNAL = """
    SELECT w.xid, m.schema_name || '.' || m.table_name, m.verb, m.before_exact, m.after_exact
    FROM journal_mutations m JOIN journal_writes w ON w.id = m.write_id
    WHERE w.state = 'committed' AND w.connection_id = %s
"""
LIST_SHARED = """
    SELECT schema_name || '.' || table_name, row_key FROM journal_mutations
    WHERE connection_id = %s GROUP BY 1, 2 HAVING count(DISTINCT session_id) > 1
"""


async def install_audit(admin_dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(admin_dsn) as admin:
        await admin.execute(CREATE_AUDIT)
        for schema, table, columns in await (await admin.execute(LIST_COLUMNS)).fetchall():
            await admin.execute(
                sql.SQL(CREATE_TRIGGER).format(
                    name=sql.Identifier(table),
                    label=sql.Literal(f"{schema}.{table}"),
                    table=sql.Identifier(schema, table),
                    old=_pairs("OLD", columns),
                    new=_pairs("NEW", columns),
                )
            )


def _pairs(row: str, columns: Iterable[str]) -> sql.Composed:
    """By the type's output function: a cast to text is another thing for inet and char(n)."""
    pair = "{label}, CASE num_nulls(" + row + ".{name}) WHEN 0 THEN format('%s', " + row + ".{name}) END"
    return sql.SQL(", ").join(
        sql.SQL(pair).format(label=sql.Literal(name), name=sql.Identifier(name)) for name in columns
    )


async def read_truth(admin_dsn: str) -> Counter[Change]:
    async with await psycopg.AsyncConnection.connect(admin_dsn) as admin:
        return fold_entries(await (await admin.execute(LIST_ENTRIES)).fetchall())


async def read_journal(own_dsn: str, connection_id: str) -> Counter[Change]:
    async with await psycopg.AsyncConnection.connect(own_dsn) as own:
        rows = await (await own.execute(LIST_JOURNAL, (connection_id,))).fetchall()
    return Counter((xid, table, verb, _show(before), _show(after)) for xid, table, verb, before, after in rows)


async def list_shared_rows(own_dsn: str, connection_id: str) -> list[tuple[str, str]]:
    """Rows that more than one session wrote, if only through a foreign key."""
    async with await psycopg.AsyncConnection.connect(own_dsn) as own:
        return await (await own.execute(LIST_SHARED, (connection_id,))).fetchall()


@dataclass
class _ImageChain:
    first: str | None
    last: str | None


def fold_entries(entries: Iterable[tuple[int, str, Row | None, Row | None]]) -> Counter[Change]:
    """One net change per row and transaction: a row may be set null and then deleted in one wake."""
    chains: dict[tuple[int, str], list[_ImageChain]] = {}
    for xid, table, before, after in entries:
        known = chains.setdefault((xid, table), [])
        was, becomes = _show(before), _show(after)
        chain = next((one for one in known if was is not None and one.last == was), None)
        if chain is None:
            known.append(_ImageChain(was, becomes))
        else:
            chain.last = becomes
    return Counter(
        (xid, table, _verb_of(chain), chain.first, chain.last)
        for (xid, table), known in chains.items()
        for chain in known
        if chain.first != chain.last
    )


def _verb_of(chain: _ImageChain) -> str:
    return "insert" if chain.first is None else "delete" if chain.last is None else "update"


def _show(row: Any) -> str | None:
    return None if row is None else json.dumps(row, sort_keys=True)
