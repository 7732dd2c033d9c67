"""Compares tables as the snapshot has them with tables as they are: the slow check, for stamps that differ.

A stamp changes with anything that was written, a GRANT as well as a column; and a transaction that makes a partition
as it goes sees what no other does. What counts is whether the tables are the same.
"""

from pgrest.config import Name
from pgrest.schema.build_schema import make_tables
from pgrest.schema.catalog_version import PLAN_PLAINLY
from pgrest.schema.catalogue import ROLES, RoleRow, name_array
from pgrest.schema.code import CODED, PARTITIONS
from pgrest.schema.cooperation import run_cooperatively
from pgrest.schema.introspection import SPELL_NAMES, TypeCatalog, decode_rows, read_coded, read_pairs, read_relations
from pgrest.schema.model import Schema
from pgrest.sql.text import Statement
from pgrest.wire.connection import DbConnection

_SAVEPOINT = Statement("SAVEPOINT bw_comparing")
_RETURN = (Statement("ROLLBACK TO SAVEPOINT bw_comparing"), Statement("RELEASE SAVEPOINT bw_comparing"))
_AROUND = """
WITH reach AS (
  SELECT c.oid FROM unnest($1::text[], $2::text[]) AS a(space, name)
  JOIN pg_namespace n ON n.nspname = a.space JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = a.name
)
SELECT c.oid, c.relnamespace || '.' || c.relname FROM pg_class c
WHERE c.oid IN (
  SELECT oid FROM reach
  UNION SELECT conrelid FROM pg_constraint WHERE contype = 'f' AND confrelid IN (SELECT oid FROM reach)
  UNION SELECT confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT oid FROM reach)
)
"""


async def is_reach_same(conn: DbConnection, schema: Schema, table: Name) -> bool:
    """Inside an open transaction, whose settings are as they were afterwards."""
    reach = schema.reaches[table]
    spaces, names = (name_array(name[part] for name in reach) for part in (0, 1))
    *_, around, listed, coded, roots = await conn.run(
        [_SAVEPOINT, SPELL_NAMES, PLAN_PLAINLY, Statement(_AROUND, (spaces, names)), ROLES, CODED, PARTITIONS]
    )
    places = {int(oid or 0): (place or b"").decode() for oid, place in around.rows}
    relations = await read_relations(conn, TypeCatalog(conn, {}), places, asks_views=False)
    roles = await run_cooperatively(decode_rows(listed, RoleRow))
    codes, pairs = await run_cooperatively(read_coded(coded)), await run_cooperatively(read_pairs(roots))
    tables = await run_cooperatively(make_tables(relations, roles, codes, pairs))
    await conn.run(_RETURN)
    return all(tables.get(name) == schema.tables.get(name) for name in reach)
