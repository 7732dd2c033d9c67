"""Whose eyes rows are open to, and who else's hands: which of the API's roles may read a table, and write to it.

A snapshot does not hold this, since only the guard against exfiltration needs it. It is read beside one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from pgrest.config import Name
from pgrest.schema.catalog_version import FIRST_OWN_OID
from pgrest.schema.introspection import SPELL_NAMES
from pgrest.sql.text import Statement
from pgrest.wire.connection import DbConnection

_BEGIN = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_COMMIT = Statement("COMMIT")
# `public` is PUBLIC to the functions that ask for privileges. A policy that shows some of the rows is enough to be a
# reader, but for one that asks who is signed in, which shows none to `anon`; what shows all of them is always true.
_ROLES = """
  SELECT 'public' AS name, ARRAY[0::oid] AS memberships
  UNION ALL SELECT r.rolname, ARRAY(SELECT 0::oid UNION ALL SELECT m.oid FROM pg_roles m
    WHERE pg_has_role(r.oid, m.oid, 'USAGE')) FROM pg_roles r WHERE r.rolname IN ('anon', 'authenticated')
"""
_RELATIONS = f"""
  SELECT c.oid, n.oid AS space, n.nspname, c.relname, c.relkind, c.relrowsecurity AS has_rls,
    coalesce(lower(c.reloptions::text) ~ 'security_invoker=(true|on|1|yes)', false) AS is_invoker
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND c.oid >= {FIRST_OWN_OID}
"""
_PASSES_STRANGERS = r"""
  (p.condition !~ 'auth\.(uid|jwt|role|email)\(|request\.jwt' OR p.condition ~ ' (OR|IS NULL|IS NOT)\M')
"""
_AUDIENCES = f"""
WITH readers AS ({_ROLES}), policies AS (
  SELECT p.polrelid, p.polpermissive, p.polroles, coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') AS condition
  FROM pg_policy p WHERE p.polcmd IN ('r', '*')
), relations AS ({_RELATIONS}), read AS (
  SELECT c.*, r.name, NOT c.is_invoker AND has_table_privilege(r.name, c.oid, 'SELECT') AND (NOT c.has_rls
      OR EXISTS (SELECT FROM policies p WHERE p.polrelid = c.oid AND p.polpermissive
        AND p.polroles && r.memberships AND p.condition = 'true')
      AND NOT EXISTS (SELECT FROM policies p WHERE p.polrelid = c.oid AND NOT p.polpermissive)) AS is_open
  FROM relations c CROSS JOIN readers r
  WHERE has_schema_privilege(r.name, c.space, 'USAGE') AND has_any_column_privilege(r.name, c.oid, 'SELECT')
    AND (NOT c.has_rls OR EXISTS (SELECT FROM policies p WHERE p.polrelid = c.oid AND p.polpermissive
      AND p.polroles && r.memberships AND p.condition <> 'false'
      AND (r.name = 'authenticated' OR {_PASSES_STRANGERS})))
)
SELECT coalesce(json_agg(json_build_array(nspname, relname, is_invoker, names, open)), '[]') FROM (
  SELECT nspname, relname, is_invoker, array_agg(name) AS names, array_remove(array_agg(
    CASE WHEN is_open THEN name END), NULL) AS open
  FROM read GROUP BY 1, 2, 3) AS found
"""
# What strangers may write: the columns of new rows, or of rows that are there. A view passes on what it can.
_WRITTEN = f"""
WITH writers AS ({_ROLES}), policies AS (
  SELECT p.polrelid, p.polcmd, p.polroles,
    coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid), 'true') AS condition
  FROM pg_policy p WHERE p.polpermissive AND p.polcmd IN ('a', 'w', '*')
), relations AS ({_RELATIONS}), ways AS (
  SELECT c.oid, c.nspname, c.relname, r.name, w.privilege
  FROM relations c CROSS JOIN writers r CROSS JOIN (VALUES ('INSERT', 'a', 8), ('UPDATE', 'w', 4))
    AS w(privilege, command, event)
  WHERE r.name <> 'authenticated' AND c.relkind <> 'm' AND has_schema_privilege(r.name, c.space, 'USAGE')
    AND has_any_column_privilege(r.name, c.oid, w.privilege)
    AND (c.relkind <> 'v' OR pg_relation_is_updatable(c.oid, true) & w.event <> 0)
    AND (NOT c.has_rls OR EXISTS (SELECT FROM policies p WHERE p.polrelid = c.oid
      AND p.polcmd::text IN (w.command, '*') AND p.polroles && r.memberships AND p.condition <> 'false'
      AND {_PASSES_STRANGERS}))
)
SELECT coalesce(json_agg(json_build_array(nspname, relname, columns)), '[]') FROM (
  SELECT w.nspname, w.relname, array_agg(DISTINCT a.attname::text) AS columns
  FROM ways w JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE has_column_privilege(w.name, w.oid, a.attnum, w.privilege) GROUP BY 1, 2) AS found
"""
# The columns of a result that is no table's: those that the function itself declares, and those of a composite type.
_RESULTS = f"""
SELECT coalesce(json_agg(json_build_array(nspname, name, columns)), '[]') FROM (
  SELECT n.nspname, p.proname AS name, array_agg(DISTINCT a.name) AS columns
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  CROSS JOIN unnest(p.proargnames, p.proargmodes) AS a(name, mode)
  WHERE p.oid >= {FIRST_OWN_OID} AND a.mode IN ('o', 'b', 't') AND a.name <> '' GROUP BY 1, 2
  UNION ALL
  SELECT n.nspname, t.relname, array_agg(a.attname::text)
  FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_attribute a ON a.attrelid = t.oid
  WHERE t.relkind = 'c' AND t.oid >= {FIRST_OWN_OID} AND a.attnum > 0 AND NOT a.attisdropped GROUP BY 1, 2
) AS found
"""


class Readers(NamedTuple):
    """The roles of `anon`, `authenticated` and `public` (PUBLIC) that may read rows of a table.

    `outright` are those of them that can read every row and column. A view of its invoker shows what its tables show.
    """

    roles: frozenset[str]
    outright: frozenset[str]
    is_invoker_view: bool = False


class AudienceFacts(NamedTuple):
    """`results`: of functions and types that are no tables, the columns that they return.

    `written` are the columns that `anon` or PUBLIC may write, by table.
    """

    tables: Mapping[Name, Readers]
    results: Mapping[Name, frozenset[str]]
    written: Mapping[Name, frozenset[str]] = MappingProxyType({})


_decode_readers = msgspec.json.Decoder(list[tuple[str, str, bool, frozenset[str], frozenset[str]]]).decode
_decode_columns = msgspec.json.Decoder(list[tuple[str, str, frozenset[str]]]).decode


async def load_audience_facts(conn: DbConnection) -> AudienceFacts:
    """In one transaction. Raises DatabaseError."""
    asked = [Statement(sql) for sql in (_AUDIENCES, _RESULTS, _WRITTEN)]
    _, _, *answers, _ = await conn.run([_BEGIN, SPELL_NAMES, *asked, _COMMIT])
    readers, results, written = (rows.rows[0][0] or b"[]" for rows in answers)
    tables = {
        (schema, name): Readers(roles, outright, is_invoker)
        for schema, name, is_invoker, roles, outright in _decode_readers(readers)
    }
    return AudienceFacts(tables, _read_columns(results), _read_columns(written))


def _read_columns(data: bytes) -> Mapping[Name, frozenset[str]]:
    found: dict[Name, frozenset[str]] = {}
    for schema, name, columns in _decode_columns(data):
        found[schema, name] = found.get((schema, name), frozenset()) | columns
    return found
