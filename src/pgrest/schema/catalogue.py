"""What a snapshot asks the catalogue, and the rows that answer: each thing is one JSON array, decoded by itself.

Names are spelled by the server, under a search path that makes it name the schema of each. What many columns share is
sent once: a column names its type by number, and `TYPES` says how that is spelled and what is under it.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from pgrest.config import Name
from pgrest.schema.catalog_version import FIRST_OWN_OID, MARKS, NOT_SYSTEM, STAMP, oid_array
from pgrest.schema.model import Volatility
from pgrest.sql.text import Statement, array_literal

# Relations ----------------------------------------------------------------------------------------------

TypeKey = tuple[int, int | None]
"""(type, modifier); no modifier is another spelling than -1: `character` against `bpchar`"""


class ColumnRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    position: int
    type: int
    modifier: int
    not_null: bool
    identity: Literal["", "a", "d"]
    is_generated: bool
    default: str | None


class UniqueKeyRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    columns: tuple[int, ...]
    is_primary: bool
    is_constraint: bool
    is_immediate: bool


class ForeignKeyRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    columns: tuple[int, ...]
    ref_table: int
    ref_columns: tuple[int, ...]
    on_delete: str
    on_update: str
    set_columns: tuple[int, ...] | None
    deferrable: bool
    deferred: bool
    match: str
    is_enforced: bool
    is_temporal: bool


class TriggerRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    bits: int
    function: Name
    enabled: Literal["O", "D", "R", "A"]


class RelationRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    oid: int
    schema: str
    name: str
    kind: str
    owner: int
    rls_enabled: bool
    rls_forced: bool
    is_partition: bool
    has_rules: bool
    has_child_tables: bool
    columns: tuple[ColumnRow, ...] | None
    comments: dict[str, str] | None
    """attribute number -> comment; 0 is the relation itself"""
    unique_keys: tuple[UniqueKeyRow, ...] | None
    foreign_keys: tuple[ForeignKeyRow, ...] | None
    triggers: tuple[TriggerRow, ...] | None
    writable: int | None
    """as pg_relation_is_updatable tells it of a view; None where it was not asked"""
    stamp: str
    marks: str


# Counts only indexes that compare by the columns' own `=`: an index may compare otherwise.
_COMPARES_BY_DEFAULT = """NOT EXISTS (
       SELECT FROM unnest(i.indclass::oid[], i.indcollation::oid[], i.indkey::int2[]) AS part(opclass, sorting, attnum)
       LEFT JOIN pg_opclass o ON o.oid = part.opclass
       LEFT JOIN pg_attribute t ON t.attrelid = c.oid AND t.attnum = part.attnum
       WHERE part.opclass IS NOT NULL AND NOT (o.opcdefault AND part.sorting = t.attcollation))"""


def _relations_sql(set_columns: str) -> str:
    return f"""
SELECT json_build_array(
  c.oid::int8, n.nspname, c.relname, c.relkind, c.relowner::int8, c.relrowsecurity, c.relforcerowsecurity,
  c.relispartition, c.relhasrules AND c.relkind IN ('r', 'p'),
  c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid),
  (SELECT json_agg(json_build_array(
     a.attname, a.attnum, a.atttypid::int8, a.atttypmod, a.attnotnull, a.attidentity, a.attgenerated <> '',
     CASE WHEN a.attgenerated <> '' THEN NULL
          WHEN a.attidentity = 'd' THEN (
            SELECT format('pg_catalog.nextval(%L::pg_catalog.regclass)', s.objid::regclass) FROM pg_depend s
            WHERE s.refclassid = 'pg_class'::regclass AND s.refobjid = c.oid AND s.refobjsubid = a.attnum
              AND s.deptype = 'i' AND s.classid = 'pg_class'::regclass LIMIT 1)
          WHEN a.atthasdef THEN (
            SELECT pg_get_expr(d.adbin, 0) FROM pg_attrdef d WHERE d.adrelid = c.oid AND d.adnum = a.attnum) END))
   FROM (SELECT * FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum) a),
  (SELECT json_object_agg(d.objsubid, d.description) FROM pg_description d
   WHERE d.objoid = c.oid AND d.classoid = 'pg_class'::regclass),
  (SELECT json_agg(json_build_array(
     (i.indkey::int2[])[0:i.indnkeyatts - 1], i.indisprimary,
     EXISTS (SELECT FROM pg_constraint k
             WHERE k.conrelid = c.oid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u')),
     i.indimmediate) ORDER BY i.indisprimary DESC, i.indexrelid)
   FROM pg_index i
   WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
     AND 0 <> ALL (i.indkey::int2[]) AND {_COMPARES_BY_DEFAULT}),
  (SELECT json_agg(json_build_array(
     k.conname, k.conkey, k.confrelid::int8, k.confkey, k.confdeltype, k.confupdtype, {set_columns},
     k.condeferrable, k.condeferred, k.confmatchtype,
     -- since PostgreSQL 18
     coalesce((to_jsonb(k) ->> 'conenforced')::bool, true), coalesce((to_jsonb(k) ->> 'conperiod')::bool, false))
     ORDER BY k.conname)
   FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0),
  (SELECT json_agg(json_build_array(g.tgname, g.tgtype, json_build_array(pn.nspname, p.proname), g.tgenabled)
                   ORDER BY g.tgname)
   FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid JOIN pg_namespace pn ON pn.oid = p.pronamespace
   WHERE g.tgrelid = c.oid AND NOT g.tgisinternal),
  CASE WHEN c.relkind IN ('v', 'f') AND $2::bool THEN pg_relation_is_updatable(c.oid, true) END,
  {STAMP},
  {MARKS}
)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::oid[])
"""


def ask_relations(oids: Iterable[int], server_version: int, *, asks_views: bool) -> Statement:
    """`asks_views`: whether views are writable, which waits for transactions that change them or what they show."""
    sql = _RELATIONS if server_version >= 150000 else _RELATIONS_OF_OLD
    return Statement(sql, (oid_array(oids), b"t" if asks_views else b"f"))


_RELATIONS = _relations_sql("k.confdelsetcols")
_RELATIONS_OF_OLD = _relations_sql("NULL::int2[]")


class SurveyRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A relation, in the order of the names. `stamp` and `marks` tell whether it is still what it was."""

    oid: int
    place: str
    kind: str
    stamp: str | None
    marks: str | None


def ask_survey(*, stamped: bool) -> Statement:
    return _SURVEY_STAMPED if stamped else _SURVEY


def _survey_sql(stamp: str, marks: str) -> str:
    return f"""
SELECT json_build_array(c.oid::int8, c.relnamespace || '.' || c.relname, c.relkind, {stamp}, {marks})
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {NOT_SYSTEM}
ORDER BY n.nspname, c.relname
"""


_SURVEY = Statement(_survey_sql("NULL", "NULL"))
_SURVEY_STAMPED = Statement(_survey_sql(STAMP, MARKS))

# Functions that may be in the text of a default, or be called by a trigger.
SPELLED = Statement(f"""
SELECT 'S' || oid, relnamespace || '.' || relname FROM pg_class WHERE relkind = 'S' AND oid >= {FIRST_OWN_OID}
UNION ALL
SELECT 'F' || oid, pronamespace || '.' || proname FROM pg_proc WHERE oid >= {FIRST_OWN_OID}
""")

# Types --------------------------------------------------------------------------------------------------


class TypeRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    oid: int
    modifier: int | None
    text: str
    base_text: str
    """The type under a domain, without a length."""
    category: str
    not_null: bool
    default: str | None
    enum_values: tuple[str, ...] | None
    max_length: int | None
    base_schema: str
    base_name: str
    is_composite: bool
    own_operators: tuple[str, ...] | None

    @property
    def key(self) -> TypeKey:
        return self.oid, self.modifier


_TYPES = """
WITH RECURSIVE asked AS (SELECT * FROM unnest($1::oid[], $2::int4[]) AS a(oid, modifier)),
chain(oid, base) AS (
  SELECT DISTINCT oid, oid FROM asked
  UNION ALL
  SELECT c.oid, t.typbasetype FROM chain c JOIN pg_type t ON t.oid = c.base WHERE t.typbasetype <> 0
)
SELECT json_build_array(
  a.oid::int8, a.modifier, format_type(a.oid, a.modifier), format_type(b.oid, NULL), b.typcategory,
  t.typtype = 'd' AND t.typnotnull,
  CASE WHEN t.typtype = 'd' THEN pg_get_expr(t.typdefaultbin, 0) END,
  (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = b.oid),
  CASE WHEN greatest(a.modifier, t.typtypmod) <= 0 THEN NULL
       WHEN b.oid IN ('bpchar'::regtype, 'varchar'::regtype) THEN greatest(a.modifier, t.typtypmod) - 4
       WHEN b.oid IN ('bit'::regtype, 'varbit'::regtype) THEN greatest(a.modifier, t.typtypmod) END,
  bn.nspname, coalesce(rel.relname, b.typname), b.typtype = 'c',
  CASE WHEN b.typtype = 'b' AND b.typcategory <> 'A' AND bn.nspname <> 'pg_catalog' THEN (
    SELECT json_agg(DISTINCT o.oprname) FROM pg_operator o
    WHERE o.oprleft = b.oid AND o.oprnamespace = b.typnamespace) END
)
FROM asked a
JOIN pg_type t ON t.oid = a.oid
JOIN chain ON chain.oid = a.oid
JOIN pg_type b ON b.oid = chain.base AND b.typbasetype = 0
JOIN pg_namespace bn ON bn.oid = b.typnamespace
LEFT JOIN pg_class rel ON rel.oid = b.typrelid
"""


def ask_types(keys: Iterable[TypeKey]) -> Statement:
    pairs = list(keys)
    modifiers = ",".join("NULL" if modifier is None else str(modifier) for _, modifier in pairs)
    return Statement(_TYPES, (oid_array(oid for oid, _ in pairs), b"{%s}" % modifiers.encode()))


# Views --------------------------------------------------------------------------------------------------

_RULES = """
SELECT ev_class, ev_action::text FROM pg_rewrite WHERE ev_class = ANY ($1::oid[]) AND rulename = '_RETURN'
"""


def ask_rules(oids: Iterable[int]) -> Statement:
    return Statement(_RULES, (oid_array(oids),))


# Functions ----------------------------------------------------------------------------------------------


class FunctionRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    oid: int
    schema: str
    name: str
    comment: str | None
    names: tuple[str, ...] | None
    types: tuple[int, ...]
    modes: tuple[str, ...] | None
    count: int
    defaults: int
    returned: int
    returns_set: bool
    volatility: Volatility
    settings: tuple[str, ...] | None


_FUNCTIONS = """
SELECT json_build_array(
  p.oid::int8, n.nspname, p.proname, obj_description(p.oid, 'pg_proc'), p.proargnames,
  ARRAY(SELECT a.type::int8 FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a(type, at) ORDER BY a.at),
  p.proargmodes, p.pronargs, p.pronargdefaults, p.prorettype::int8, p.proretset, p.provolatile, p.proconfig
)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind = 'f' AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
  AND n.nspname = ANY ($1::text[])
ORDER BY n.nspname, p.proname, p.pronargs, p.oid
"""


def ask_functions(schemas: Iterable[str]) -> Statement:
    return Statement(_FUNCTIONS, (name_array(schemas),))


def name_array(names: Iterable[str]) -> bytes:
    return array_literal(names).encode()


class ComputedRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A function of one row that returns rows: a relationship by hand."""

    function: Name
    table: Name
    target: Name
    returns_one_row: bool
    volatility: Volatility


COMPUTED = Statement(f"""
SELECT json_build_array(
  json_build_array(n.nspname, p.proname), json_build_array(an.nspname, a.relname),
  json_build_array(rn.nspname, r.relname), NOT p.proretset OR p.prorows = 1,
  p.provolatile
)
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_class a ON a.reltype = p.proargtypes[0] JOIN pg_namespace an ON an.oid = a.relnamespace
JOIN pg_class r ON r.reltype = p.prorettype JOIN pg_namespace rn ON rn.oid = r.relnamespace
WHERE p.pronargs = 1 AND a.relkind IN ('r', 'p', 'v', 'm', 'f') AND r.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND {NOT_SYSTEM}
ORDER BY n.nspname, p.proname
""")


class ComputedColumnRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A function that may be called with one row alone, and returns no row."""

    function: Name
    table: Name
    volatility: Volatility
    returned: int


COMPUTED_COLUMNS = Statement(f"""
SELECT json_build_array(
  json_build_array(n.nspname, p.proname), json_build_array(an.nspname, a.relname), p.provolatile, p.prorettype::int8
)
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_class a ON a.reltype = p.proargtypes[0] JOIN pg_namespace an ON an.oid = a.relnamespace
WHERE p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 AND p.prokind = 'f' AND p.provariadic = 0
  AND a.relkind IN ('r', 'p', 'v', 'm', 'f') AND {NOT_SYSTEM}
ORDER BY an.nspname, a.relname, n.nspname, p.proname
""")

# Only as a part of the extension: anybody may make a function of that name elsewhere.
GEOJSON = Statement("""
SELECT n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE p.proname = 'st_asgeojson' AND p.proargtypes[0] = 'record'::regtype LIMIT 1
""")


class CastRow(NamedTuple):
    source: str
    target: str
    function: Name


REPRESENTATIONS = Statement("""
SELECT json_build_array(format_type(c.castsource, NULL), format_type(c.casttarget, NULL),
                        json_build_array(n.nspname, p.proname))
FROM pg_cast c
JOIN pg_type s ON s.oid = c.castsource
JOIN pg_type t ON t.oid = c.casttarget
JOIN pg_proc p ON p.oid = c.castfunc
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE c.castcontext = 'i' AND c.castmethod = 'f' AND has_function_privilege(p.oid, 'execute')
  AND (s.typtype = 'd' AND t.oid IN ('json'::regtype, 'text'::regtype)
       OR t.typtype = 'd' AND s.oid IN ('json'::regtype, 'text'::regtype))
""")


class HandlerRow(NamedTuple):
    function: Name
    target: Name | None
    accepts: str
    produces: str


_MEDIA_HANDLERS = """
WITH media AS (
  SELECT t.oid, n.nspname, t.typname, lower(t.typname) AS accepts,
         CASE t.typname WHEN '*/*' THEN 'application/octet-stream' ELSE t.typname END AS produces
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
  WHERE t.typbasetype <> 0
    AND (t.typname ~* '^[a-z0-9.-]+/[a-z0-9.+-]+$' OR t.typname = '*/*')
)
SELECT json_build_array(
  json_build_array(pn.nspname, p.proname),
  CASE WHEN t.typname <> 'anyelement' THEN json_build_array(tn.nspname, t.typname) END, m.accepts, m.produces)
FROM media m
JOIN pg_proc p ON p.prorettype = m.oid AND p.pronargs = 1 AND p.prokind = 'a'
JOIN pg_namespace pn ON pn.oid = p.pronamespace
JOIN pg_type t ON t.oid = p.proargtypes[0]
JOIN pg_namespace tn ON tn.oid = t.typnamespace
WHERE pn.nspname = ANY ($1::text[]) AND (t.typrelid <> 0 OR t.typname = 'anyelement')
UNION ALL
SELECT json_build_array(
  json_build_array(m.nspname, m.typname), json_build_array(pn.nspname, p.proname), m.accepts, m.produces)
FROM media m
JOIN pg_proc p ON p.prorettype = m.oid AND p.prokind = 'f' AND NOT p.proretset
JOIN pg_namespace pn ON pn.oid = p.pronamespace
WHERE pn.nspname = ANY ($1::text[])
"""


def ask_media_handlers(schemas: Iterable[str]) -> Statement:
    return Statement(_MEDIA_HANDLERS, (name_array(schemas),))


# The rest -----------------------------------------------------------------------------------------------


class RoleRow(NamedTuple):
    oid: int
    name: str
    is_superuser: bool
    bypasses_rls: bool
    member_of: tuple[str, ...] | None
    settings: tuple[str, ...] | None


ROLES = Statement("""
SELECT json_build_array(
  r.oid::int8, r.rolname, r.rolsuper, r.rolbypassrls,
  (SELECT json_agg(g.rolname ORDER BY g.rolname) FROM pg_auth_members m
   JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid),
  (SELECT json_agg(s) FROM pg_db_role_setting d, unnest(d.setconfig) s
   WHERE d.setrole = r.oid
     AND d.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
     AND EXISTS (SELECT FROM pg_settings g WHERE g.name = split_part(s, '=', 1) AND g.context = 'user')))
FROM pg_roles r
""")

TIMEZONES = Statement("SELECT name FROM pg_timezone_names")

_COMMENTS = """
SELECT nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace
WHERE nspname = ANY ($1::text[]) AND obj_description(oid, 'pg_namespace') IS NOT NULL
"""


def ask_comments(schemas: Iterable[str]) -> Statement:
    return Statement(_COMMENTS, (name_array(schemas),))
