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
# How many policies there are, the planner guesses badly: it would look through all of them for each table. Where it has
# no other join, it then thinks of the costs as vast, and would compile.
_JOIN_BY_HASH = Statement(
    "SELECT pg_catalog.set_config('enable_nestloop', 'off', true), pg_catalog.set_config('jit', 'off', true)"
)
# `public` is PUBLIC to the functions that ask for privileges.
_ROLES = """
  SELECT 'public' AS name, ARRAY[0::oid] AS memberships, false AS bypasses
  UNION ALL SELECT r.rolname, ARRAY(SELECT 0::oid UNION ALL SELECT m.oid FROM pg_roles m
    WHERE pg_has_role(r.oid, m.oid, 'USAGE')), r.rolsuper OR r.rolbypassrls
  FROM pg_roles r WHERE r.rolname IN ('anon', 'authenticated')
"""
_RELATIONS = f"""
  SELECT c.oid, n.oid AS space, n.nspname, c.relname, c.relkind, c.relrowsecurity AS has_rls,
    coalesce(lower(c.reloptions::text) ~ 'security_invoker=(true|on|1|yes)', false) AS is_invoker
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND c.oid >= {FIRST_OWN_OID}
"""
# A condition that asks who is signed in lets in no stranger, unless some other part of it does.
_LETS_OTHERS_IN = r"""\m(OR|NOT|CASE|COALESCE|IS NULL|IS DISTINCT)\M|'anon'"""
_ASKS_WHO = r"""
  ({0} ~ 'auth\.(uid|jwt|role|email)\(|request\.jwt'
    AND replace({0}, ' IS NOT NULL', '') !~ '{1}' AND NOT ({0} ~ 'role' AND {0} ~ '<>'))
"""


def _asks_who(condition: str) -> str:
    return _ASKS_WHO.format(condition, _LETS_OTHERS_IN.replace("'", "''"))


# What a table's policies say to a role, by command: `r` reads, `a` inserts, `w` updates, which have two conditions.
_POLICIES = f"""
  SELECT p.polrelid, p.command, r.name,
    bool_or(p.polpermissive AND NOT p.is_never AND (r.name = 'authenticated' OR NOT p.asks_who)) AS lets_in,
    bool_or(NOT p.polpermissive AND (p.is_never OR r.name <> 'authenticated' AND p.asks_who)) AS keeps_out,
    bool_or(p.polpermissive AND p.is_always) AND bool_and(p.polpermissive) AS lets_in_always
  FROM (
    SELECT polrelid, polpermissive, polroles, c.command, 'false' IN (c.one, c.other) AS is_never,
      c.one = 'true' AND c.other = 'true' AS is_always, {_asks_who("c.one")} OR {_asks_who("c.other")} AS asks_who
    FROM (SELECT *, coalesce(pg_get_expr(polqual, polrelid), 'true') AS found,
        coalesce(pg_get_expr(polwithcheck, polrelid), pg_get_expr(polqual, polrelid), 'true') AS made
      FROM pg_policy OFFSET 0) AS p
    CROSS JOIN LATERAL (VALUES ('r', found, 'true'), ('a', made, 'true'), ('w', found, made)) AS c(command, one, other)
    WHERE polcmd::text IN (c.command, '*') OFFSET 0
  ) AS p JOIN roles r ON p.polroles && r.memberships GROUP BY 1, 2, 3
"""
# A policy that shows some of the rows is enough to be a reader; what shows all of them is always true.
_AUDIENCES = f"""
WITH roles AS ({_ROLES}), policies AS ({_POLICIES}), relations AS ({_RELATIONS}), read AS (
  SELECT c.*, r.name, NOT c.is_invoker AND has_table_privilege(r.name, c.oid, 'SELECT')
      AND (NOT c.has_rls OR r.bypasses OR p.lets_in_always) AS is_open
  FROM relations c CROSS JOIN roles r
  LEFT JOIN policies p ON p.polrelid = c.oid AND p.name = r.name AND p.command = 'r'
  WHERE has_schema_privilege(r.name, c.space, 'USAGE') AND has_any_column_privilege(r.name, c.oid, 'SELECT')
    AND (NOT c.has_rls OR r.bypasses OR p.lets_in AND NOT p.keeps_out)
)
SELECT coalesce(json_agg(json_build_array(nspname, relname, is_invoker, names, open)), '[]') FROM (
  SELECT nspname, relname, is_invoker, array_agg(name) AS names, array_remove(array_agg(
    CASE WHEN is_open THEN name END), NULL) AS open
  FROM read GROUP BY 1, 2, 3) AS found
"""
# What strangers may write: the columns of new rows, or of rows that are there. A view passes on what it can; one of its
# invoker only what they may write to its tables.
_WRITTEN = f"""
WITH roles AS ({_ROLES}), policies AS ({_POLICIES}), relations AS ({_RELATIONS}), ways AS (
  SELECT c.oid, c.nspname, c.relname, r.name, w.privilege
  FROM relations c CROSS JOIN roles r CROSS JOIN (VALUES ('INSERT', 'a', 8), ('UPDATE', 'w', 4))
    AS w(privilege, command, event)
  LEFT JOIN policies p ON p.polrelid = c.oid AND p.name = r.name AND p.command = w.command
  WHERE r.name <> 'authenticated' AND c.relkind <> 'm' AND NOT c.is_invoker
    AND has_schema_privilege(r.name, c.space, 'USAGE') AND has_any_column_privilege(r.name, c.oid, w.privilege)
    AND (c.relkind <> 'v' OR pg_relation_is_updatable(c.oid, true) & w.event <> 0)
    AND (NOT c.has_rls OR r.bypasses OR p.lets_in AND NOT p.keeps_out)
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
# Computed columns that can hold words or values of others, with the columns that their text names: all of them where it
# names none, or takes the row as a whole.
_COMPUTED = rf"""
SELECT coalesce(json_agg(json_build_array(nspname, relname, proname,
  CASE WHEN is_whole OR named = '{{}}' THEN columns ELSE named END)), '[]') FROM (
  SELECT n.nspname, c.relname, f.proname, f.is_whole, array_agg(a.attname::text) AS columns,
    coalesce(array_agg(a.attname::text) FILTER (WHERE lower(a.attname) = ANY (f.words)
      OR a.attname ~ '\W' AND strpos(f.source, lower(a.attname)) > 0), '{{}}') AS named
  FROM (SELECT p.oid, p.proname, p.proargtypes[0] AS argument, s.source,
      regexp_split_to_array(s.source, '\W+') AS words,
      l.lanname IN ('c', 'internal') OR s.source ~ '\*|json|hstore|::\s*text|as\s+text|record|execute' AS is_whole
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_type t ON t.oid = p.prorettype
    CROSS JOIN LATERAL (SELECT lower(
      CASE p.prosrc WHEN '' THEN pg_get_functiondef(p.oid) ELSE p.prosrc END)) AS s(source)
    WHERE p.oid >= {FIRST_OWN_OID} AND p.prokind = 'f' AND p.pronargs > 0 AND p.pronargs - p.pronargdefaults <= 1
      AND NOT p.proretset AND t.typcategory NOT IN ('B', 'D', 'E', 'N', 'T') AND t.typname <> 'uuid'
    OFFSET 0) AS f
  JOIN pg_class c ON c.reltype = f.argument AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  GROUP BY f.oid, 1, 2, 3, 4
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

    `written` are the columns that `anon` or PUBLIC may write, by table; `computed` are computed columns, each with the
    columns that its value may show.
    """

    tables: Mapping[Name, Readers]
    results: Mapping[Name, frozenset[str]]
    written: Mapping[Name, frozenset[str]] = MappingProxyType({})
    computed: Mapping[tuple[Name, str], frozenset[str]] = MappingProxyType({})


_decode_readers = msgspec.json.Decoder(list[tuple[str, str, bool, frozenset[str], frozenset[str]]]).decode
_decode_columns = msgspec.json.Decoder(list[tuple[str, str, frozenset[str]]]).decode
_decode_computed = msgspec.json.Decoder(list[tuple[str, str, str, frozenset[str]]]).decode


async def load_audience_facts(conn: DbConnection) -> AudienceFacts:
    """In one transaction. Raises DatabaseError."""
    asked = [Statement(sql) for sql in (_AUDIENCES, _RESULTS, _WRITTEN, _COMPUTED)]
    _, _, _, *answers, _ = await conn.run([_BEGIN, SPELL_NAMES, _JOIN_BY_HASH, *asked, _COMMIT])
    readers, results, written, computed = (rows.rows[0][0] or b"[]" for rows in answers)
    tables = {
        (schema, name): Readers(roles, outright, is_invoker)
        for schema, name, is_invoker, roles, outright in _decode_readers(readers)
    }
    return AudienceFacts(tables, _read_columns(results), _read_columns(written), _read_computed(computed))


def _read_columns(data: bytes) -> Mapping[Name, frozenset[str]]:
    found: dict[Name, frozenset[str]] = {}
    for schema, name, columns in _decode_columns(data):
        found[schema, name] = found.get((schema, name), frozenset()) | columns
    return found


def _read_computed(data: bytes) -> Mapping[tuple[Name, str], frozenset[str]]:
    """Of several functions of one name, all count."""
    found: dict[tuple[Name, str], frozenset[str]] = {}
    for schema, table, name, columns in _decode_computed(data):
        found[(schema, table), name] = found.get(((schema, table), name), frozenset()) | columns
    return found
