"""Reads the catalogue into a snapshot: a handful of statements, one round trip.

Every statement answers with one JSON value. The search path is empty while they run, so that the server
spells every name with its schema, and nothing is compiled just in time, which takes longer than they do.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import msgspec

from basewarden.pgrest.config import Name
from basewarden.pgrest.relations import ComputedRow, relate_tables, view_primary_keys
from basewarden.pgrest.schema import (
    Column,
    ForeignKey,
    Function,
    MediaHandler,
    Role,
    Schema,
    Table,
    TableKind,
    Trigger,
    UniqueKey,
)
from basewarden.pgrest.sql import Statement, array_literal
from basewarden.pgrest.viewkeys import ViewColumns, ViewRow, trace_views
from basewarden.pgrest.wire import Connection, Rows

_QUALIFY_NAMES = Statement("SELECT set_config('search_path', '', true), set_config('jit', 'off', true)")

_NOT_SYSTEM = """n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp\\_%'"""

_BASE_TYPES = """base_types(oid, base) AS (
  SELECT oid, oid FROM pg_type WHERE typbasetype = 0
  UNION ALL
  SELECT t.oid, b.base FROM pg_type t JOIN base_types b ON t.typbasetype = b.oid
)"""

TABLES = f"""
WITH RECURSIVE {_BASE_TYPES},
relations AS (
  SELECT c.*, n.nspname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_NOT_SYSTEM}
),
column_lists AS (
  SELECT a.attrelid, json_agg(json_build_object(
    'name', a.attname,
    'position', a.attnum,
    'type', format_type(a.atttypid, a.atttypmod),
    'base_type', format_type(b.base, NULL),
    'category', bt.typcategory,
    'nullable', NOT (a.attnotnull OR t.typtype = 'd' AND t.typnotnull),
    'default', CASE
      WHEN a.attgenerated <> '' THEN NULL
      WHEN a.attidentity = 'd' THEN (
        SELECT format('nextval(%L)', s.objid::regclass) FROM pg_depend s
        WHERE s.refobjid = a.attrelid AND s.refobjsubid = a.attnum AND s.deptype = 'i'
          AND s.classid = 'pg_class'::regclass LIMIT 1)
      WHEN d.adbin IS NULL AND t.typtype = 'd' THEN pg_get_expr(t.typdefaultbin, 0)
      ELSE pg_get_expr(d.adbin, d.adrelid) END,
    'identity', a.attidentity,
    'generated', a.attgenerated <> '',
    'enum_values', coalesce((SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)
                             FROM pg_enum e WHERE e.enumtypid = b.base), '[]'),
    'comment', col_description(a.attrelid, a.attnum),
    'max_length', CASE WHEN b.base IN ('bpchar'::regtype, 'varchar'::regtype)
                            AND greatest(a.atttypmod, t.typtypmod) > 0
                       THEN greatest(a.atttypmod, t.typtypmod) - 4
                       WHEN b.base IN ('bit'::regtype, 'varbit'::regtype)
                            AND greatest(a.atttypmod, t.typtypmod) > 0
                       THEN greatest(a.atttypmod, t.typtypmod) END
  ) ORDER BY a.attnum) AS columns
  FROM pg_attribute a
  JOIN relations r ON r.oid = a.attrelid
  JOIN pg_type t ON t.oid = a.atttypid
  JOIN base_types b ON b.oid = t.oid
  JOIN pg_type bt ON bt.oid = b.base
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped
  GROUP BY a.attrelid
),
unique_keys AS (
  SELECT i.indrelid, json_agg(json_build_object(
    'columns', (SELECT json_agg(a.attname ORDER BY k.ord)
                FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(num, ord)
                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num),
    'is_primary', i.indisprimary,
    'is_constraint', EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid
                             AND c.contype IN ('p', 'u')),
    'is_immediate', i.indimmediate
  ) ORDER BY i.indisprimary DESC, i.indexrelid) AS keys
  FROM pg_index i JOIN relations r ON r.oid = i.indrelid
  WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND 0 <> ALL (i.indkey::int2[])
  GROUP BY i.indrelid
),
triggers AS (
  SELECT g.tgrelid, json_agg(json_build_object(
    'name', g.tgname, 'bits', g.tgtype, 'enabled', g.tgenabled,
    'function', json_build_array(pn.nspname, p.proname)
  ) ORDER BY g.tgname) AS triggers
  FROM pg_trigger g
  JOIN pg_proc p ON p.oid = g.tgfoid
  JOIN pg_namespace pn ON pn.oid = p.pronamespace
  WHERE NOT g.tgisinternal
  GROUP BY g.tgrelid
)
SELECT coalesce(json_agg(json_build_object(
  'oid', r.oid::int8,
  'schema', r.nspname,
  'name', r.relname,
  'kind', CASE r.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned' WHEN 'v' THEN 'view'
                         WHEN 'm' THEN 'matview' ELSE 'foreign' END,
  'columns', coalesce(l.columns, '[]'),
  'unique_keys', coalesce(u.keys, '[]'),
  'triggers', coalesce(g.triggers, '[]'),
  'rls_enabled', r.relrowsecurity,
  'rls_forced', r.relforcerowsecurity,
  'owner', pg_get_userbyid(r.relowner),
  'comment', obj_description(r.oid, 'pg_class'),
  'writable', CASE WHEN r.relkind IN ('r', 'p') THEN 28
                   WHEN r.relkind IN ('v', 'f') THEN pg_relation_is_updatable(r.oid, true) ELSE 0 END,
  'is_partition', r.relispartition
) ORDER BY r.nspname, r.relname), '[]')
FROM relations r
LEFT JOIN column_lists l ON l.attrelid = r.oid
LEFT JOIN unique_keys u ON u.indrelid = r.oid
LEFT JOIN triggers g ON g.tgrelid = r.oid
"""

_ACTION = """CASE {} WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE'
  WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END"""


def _foreign_keys_sql(set_columns: str) -> str:
    names = """(SELECT json_agg(a.attname ORDER BY k.ord) FROM unnest({1}) WITH ORDINALITY k(num, ord)
       JOIN pg_attribute a ON a.attrelid = {0} AND a.attnum = k.num)"""
    return f"""
SELECT coalesce(json_agg(json_build_object(
  'name', c.conname,
  'table', json_build_array(tn.nspname, t.relname),
  'columns', {names.format("c.conrelid", "c.conkey")},
  'ref_table', json_build_array(rn.nspname, r.relname),
  'ref_columns', {names.format("c.confrelid", "c.confkey")},
  'on_delete', {_ACTION.format("c.confdeltype")},
  'on_update', {_ACTION.format("c.confupdtype")},
  'set_columns', coalesce({names.format("c.conrelid", set_columns)}, '[]'),
  'deferrable', c.condeferrable,
  'deferred', c.condeferred,
  'match', CASE c.confmatchtype WHEN 'f' THEN 'FULL' WHEN 'p' THEN 'PARTIAL' ELSE 'SIMPLE' END
) ORDER BY c.conrelid, c.conname), '[]')
FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE c.contype = 'f' AND c.conparentid = 0
"""


FUNCTIONS = f"""
WITH RECURSIVE {_BASE_TYPES},
parameters AS (
  SELECT p.oid, json_agg(json_build_object(
    'name', coalesce(a.name, ''),
    'type', a.type::regtype::text,
    'unlimited_type', CASE a.type WHEN 'bit'::regtype THEN 'bit varying'
      WHEN 'bit[]'::regtype THEN 'bit varying[]' WHEN 'character'::regtype THEN 'character varying'
      WHEN 'character[]'::regtype THEN 'character varying[]' ELSE a.type::regtype::text END,
    'is_required', a.idx <= p.pronargs - p.pronargdefaults,
    'is_variadic', coalesce(a.mode = 'v', false)
  ) ORDER BY a.idx) AS list,
  count(*) FILTER (WHERE coalesce(a.name, '') = '') AS unnamed,
  count(*) AS total,
  (array_agg(a.type))[1] AS first_type
  FROM pg_proc p,
       unnest(p.proargnames, p.proargtypes::oid[], p.proargmodes) WITH ORDINALITY a(name, type, mode, idx)
  WHERE a.type IS NOT NULL
  GROUP BY p.oid
)
SELECT coalesce(json_agg(json_build_object(
  'oid', p.oid::int8,
  'schema', n.nspname,
  'name', p.proname,
  'comment', obj_description(p.oid, 'pg_proc'),
  'parameters', coalesce(a.list, '[]'),
  'return_schema', tn.nspname,
  'return_type', coalesce(rel.relname, t.typname),
  'returns_set', p.proretset,
  'returns_composite', t.typtype = 'c' OR coalesce(p.proargmodes::text[] && '{{t,b,o}}', false),
  'volatility', p.provolatile,
  'settings', coalesce((SELECT json_agg(json_build_array(
                          split_part(s, '=', 1), substr(s, strpos(s, '=') + 1)))
                        FROM unnest(p.proconfig) s), '[]')
) ORDER BY n.nspname, p.proname, p.pronargs, p.oid), '[]')
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN base_types b ON b.oid = p.prorettype
JOIN pg_type t ON t.oid = b.base
JOIN pg_namespace tn ON tn.oid = t.typnamespace
LEFT JOIN pg_class rel ON rel.oid = t.typrelid
LEFT JOIN parameters a ON a.oid = p.oid
WHERE p.prokind = 'f' AND t.oid NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND (coalesce(a.unnamed, 0) = 0 OR a.unnamed = 1 AND a.first_type IN
       ('bytea'::regtype, 'json'::regtype, 'jsonb'::regtype, 'text'::regtype, 'xml'::regtype))
  AND n.nspname = ANY ($1::text[])
"""

VIEWS = """
SELECT coalesce(json_agg(json_build_object(
  'oid', c.oid::int8,
  'name', json_build_array(n.nspname, c.relname),
  'columns', (SELECT json_object_agg(a.attnum, a.attname) FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'rule', r.ev_action::text
)), '[]')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
WHERE c.relkind IN ('v', 'm') AND n.nspname = ANY ($1::text[])
"""

COMPUTED = f"""
SELECT coalesce(json_agg(json_build_object(
  'function', json_build_array(n.nspname, p.proname),
  'table', json_build_array(an.nspname, a.relname),
  'target', json_build_array(rn.nspname, r.relname),
  'returns_one_row', NOT p.proretset OR p.prorows = 1
) ORDER BY n.nspname, p.proname), '[]')
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_class a ON a.reltype = p.proargtypes[0] JOIN pg_namespace an ON an.oid = a.relnamespace
JOIN pg_class r ON r.reltype = p.prorettype JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE p.pronargs = 1 AND a.relkind IN ('r', 'p', 'v', 'm', 'f') AND r.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND {_NOT_SYSTEM}
"""

REPRESENTATIONS = """
SELECT coalesce(json_agg(json_build_array(format_type(c.castsource, NULL), format_type(c.casttarget, NULL),
                                          n.nspname, p.proname)), '[]')
FROM pg_cast c
JOIN pg_type s ON s.oid = c.castsource
JOIN pg_type t ON t.oid = c.casttarget
JOIN pg_proc p ON p.oid = c.castfunc
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE c.castcontext = 'i' AND c.castmethod = 'f' AND has_function_privilege(p.oid, 'execute')
  AND (s.typtype = 'd' AND t.oid IN ('json'::regtype, 'text'::regtype)
       OR t.typtype = 'd' AND s.oid IN ('json'::regtype, 'text'::regtype))
"""

MEDIA_HANDLERS = """
WITH media AS (
  SELECT t.oid, n.nspname, t.typname, lower(t.typname) AS accepts,
         CASE t.typname WHEN '*/*' THEN 'application/octet-stream' ELSE t.typname END AS produces
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.typbasetype <> 0
    AND (t.typname ~* '^[a-z0-9.-]+/[a-z0-9.+-]+$' OR t.typname = '*/*')
)
SELECT coalesce(json_agg(h), '[]') FROM (
  SELECT json_build_array(pn.nspname, p.proname) AS function,
         CASE WHEN t.typname <> 'anyelement' THEN json_build_array(tn.nspname, t.typname) END AS target,
         m.accepts, m.produces
  FROM media m
  JOIN pg_proc p ON p.prorettype = m.oid AND p.pronargs = 1 AND p.prokind = 'a'
  JOIN pg_namespace pn ON pn.oid = p.pronamespace
  JOIN pg_type t ON t.oid = p.proargtypes[0]
  JOIN pg_namespace tn ON tn.oid = t.typnamespace
  WHERE pn.nspname = ANY ($1::text[]) AND (t.typrelid <> 0 OR t.typname = 'anyelement')
  UNION ALL
  SELECT json_build_array(m.nspname, m.typname), json_build_array(pn.nspname, p.proname),
         m.accepts, m.produces
  FROM media m
  JOIN pg_proc p ON p.prorettype = m.oid AND p.prokind = 'f' AND NOT p.proretset
  JOIN pg_namespace pn ON pn.oid = p.pronamespace
  WHERE pn.nspname = ANY ($1::text[])
) h
"""

ROLES = """
SELECT coalesce(json_agg(json_build_object(
  'name', r.rolname, 'is_superuser', r.rolsuper, 'bypasses_rls', r.rolbypassrls,
  'member_of', coalesce((SELECT json_agg(g.rolname ORDER BY g.rolname) FROM pg_auth_members m
                         JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid), '[]'),
  'settings', coalesce((SELECT json_agg(json_build_array(
                          split_part(s, '=', 1), substr(s, strpos(s, '=') + 1)))
                        FROM pg_db_role_setting d, unnest(d.setconfig) s
                        WHERE d.setrole = r.oid
                          AND d.setdatabase IN (0, (SELECT oid FROM pg_database
                                                    WHERE datname = current_database()))
                          AND EXISTS (SELECT FROM pg_settings g WHERE g.name = split_part(s, '=', 1)
                                      AND g.context = 'user')), '[]')
)), '[]')
FROM pg_roles r
"""

TIMEZONES = "SELECT coalesce(json_agg(name), '[]') FROM pg_timezone_names"

COMMENTS = """
SELECT coalesce(json_object_agg(nspname, obj_description(oid, 'pg_namespace')), '{}')
FROM pg_namespace WHERE nspname = ANY ($1::text[]) AND obj_description(oid, 'pg_namespace') IS NOT NULL
"""

_CATALOGUES = (
    "pg_class WHERE oid >= 16384",
    "pg_attribute WHERE attrelid >= 16384",
    "pg_constraint WHERE oid >= 16384",
    "pg_index WHERE indexrelid >= 16384",
    "pg_proc WHERE oid >= 16384",
    "pg_trigger WHERE oid >= 16384",
    "pg_type WHERE oid >= 16384",
    "pg_rewrite WHERE oid >= 16384",
    "pg_cast WHERE oid >= 16384",
    "pg_description WHERE objoid >= 16384",
    "pg_enum",
    "pg_attrdef",
    "pg_namespace",
    "pg_auth_members",
    "pg_roles",
)


def _fingerprint_sql() -> str:
    """A row that DDL writes gets a new xmin, so with any DDL the count and the sum of them change."""
    sums = (
        f"(SELECT count(*) || '/' || coalesce(sum({_XMIN.get(source, 'xmin::text::int8')}), 0) FROM {source})"
        for source in _CATALOGUES
    )
    return f"SELECT concat_ws(',', {', '.join(sums)})"


_XMIN = {"pg_roles": "oid::int8 * (1 + rolsuper::int + 2 * rolbypassrls::int)"}  # a view: it has no xmin
FINGERPRINT = Statement(_fingerprint_sql())


@dataclass(frozen=True, slots=True)
class TableRow:
    """A table as the catalogue statement tells it, before foreign keys are put in."""

    oid: int
    schema: str
    name: str
    kind: TableKind
    columns: tuple[Column, ...]
    unique_keys: tuple[UniqueKey, ...]
    triggers: tuple[Trigger, ...]
    rls_enabled: bool
    rls_forced: bool
    owner: str
    comment: str | None
    writable: int
    is_partition: bool


_UPDATE_BIT, _INSERT_BIT, _DELETE_BIT = 4, 8, 16  # as pg_relation_is_updatable sets them


async def load_schema(conn: Connection, schemas: Sequence[str], extra_search_path: Sequence[str] = ()) -> Schema:
    """A snapshot of everything, in which the API reaches `schemas`."""
    exposed = _array(schemas)
    set_columns = "c.confdelsetcols" if conn.server_version >= 150000 else "NULL::int2[]"
    found = await conn.run(
        [
            _QUALIFY_NAMES,
            FINGERPRINT,
            Statement(TABLES),
            Statement(_foreign_keys_sql(set_columns)),
            Statement(FUNCTIONS, (exposed,)),
            Statement(VIEWS, (_array([*schemas, *extra_search_path]),)),
            Statement(COMPUTED),
            Statement(REPRESENTATIONS),
            Statement(MEDIA_HANDLERS, (exposed,)),
            Statement(ROLES),
            Statement(TIMEZONES),
            Statement(COMMENTS, (exposed,)),
        ]
    )
    values = [_only_value(rows) for rows in found]
    return _build_schema(tuple(schemas), conn.server_version, values)


def _build_schema(exposed: tuple[str, ...], server_version: int, values: Sequence[bytes]) -> Schema:
    foreign_keys = msgspec.json.decode(values[3], type=list[ForeignKey])
    views = trace_views(msgspec.json.decode(values[5], type=list[ViewRow]))
    tables = _build_tables(msgspec.json.decode(values[2], type=list[TableRow]), foreign_keys, views)
    computed = msgspec.json.decode(values[6], type=list[ComputedRow])
    functions = msgspec.json.decode(values[4], type=list[Function])
    casts = msgspec.json.decode(values[7], type=list[tuple[str, str, str, str]])
    handlers = msgspec.json.decode(values[8], type=list[MediaHandler])
    return Schema(
        exposed=exposed,
        tables=tables,
        functions={name: tuple(group) for name, group in groupby(functions, key=lambda one: one.qualified)},
        relationships=relate_tables(tables, foreign_keys, views, computed),
        representations={(source, target): (space, name) for source, target, space, name in casts},
        media_handlers={(handler.target, handler.accepts): handler for handler in handlers},
        roles={role.name: role for role in msgspec.json.decode(values[9], type=list[Role])},
        timezones=msgspec.json.decode(values[10], type=frozenset[str]),
        comments=msgspec.json.decode(values[11], type=dict[str, str]),
        server_version=server_version,
        fingerprint=values[1].decode(),
    )


def _build_tables(
    rows: Iterable[TableRow], foreign_keys: Iterable[ForeignKey], views: ViewColumns
) -> Mapping[Name, Table]:
    outward: defaultdict[Name, list[ForeignKey]] = defaultdict(list)
    inward: defaultdict[Name, list[ForeignKey]] = defaultdict(list)
    for key in foreign_keys:
        outward[key.table].append(key)
        inward[key.ref_table].append(key)
    tables = {}
    for row in rows:
        name = (row.schema, row.name)
        tables[name] = _build_table(row, tuple(outward[name]), tuple(inward[name]))
    for name, columns in view_primary_keys(tables, views).items():
        tables[name] = replace(tables[name], primary_key=columns, key=columns)
    return tables


def _build_table(
    row: TableRow, foreign_keys_out: tuple[ForeignKey, ...], foreign_keys_in: tuple[ForeignKey, ...]
) -> Table:
    columns = {column.name: column for column in row.columns}
    primary_key = next((key.columns for key in row.unique_keys if key.is_primary), ())
    return Table(
        oid=row.oid,
        schema=row.schema,
        name=row.name,
        kind=row.kind,
        columns=columns,
        primary_key=primary_key,
        unique_keys=row.unique_keys,
        key=primary_key or _first_total_key(row.unique_keys, columns),
        foreign_keys_out=foreign_keys_out,
        foreign_keys_in=foreign_keys_in,
        triggers=row.triggers,
        rls_enabled=row.rls_enabled,
        rls_forced=row.rls_forced,
        owner=row.owner,
        comment=row.comment,
        insertable=bool(row.writable & _INSERT_BIT),
        updatable=bool(row.writable & _UPDATE_BIT),
        deletable=bool(row.writable & _DELETE_BIT),
        is_partition=row.is_partition,
    )


def _first_total_key(keys: Iterable[UniqueKey], columns: Mapping[str, Column]) -> tuple[str, ...]:
    for key in keys:
        if key.is_immediate and not any(columns[name].nullable for name in key.columns):
            return key.columns
    return ()


def _array(names: Iterable[str]) -> bytes:
    return array_literal(names).encode()


def _only_value(rows: Rows) -> bytes:
    return rows.rows[0][0] or b""
