"""What tells of a column's values besides the column: views, constraints, indexes, generated columns, other tables.

A snapshot does not hold this, since only callers who may not see some columns need it. It is read beside one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from pgrest.config import Name
from pgrest.schema.catalog_version import FIRST_OWN_OID
from pgrest.schema.code import RUNS_SQL
from pgrest.schema.introspection import SPELL_NAMES
from pgrest.sql.text import Statement
from pgrest.wire.connection import DbConnection

_BEGIN = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_COMMIT = Statement("COMMIT")
# A row as a whole is no dependency on its columns in the catalogue; only the stored tree shows it.
_WHOLE_ROW = "':varattno 0 '"
# Dependencies on PostgreSQL's own are not recorded either. Statistics hold values of columns, and so do statements.
_TELLING_FUNCTIONS = (
    f"'^({RUNS_SQL}|pg_(cursor|prepared_statement|stat_get_activity|stat_get_backend_activity)$|pg_read_(binary_)?file$"
    "|pg_logical_slot_(get|peek)_)'"
)
_TELLING_RELATIONS = (
    "'^pg_(cursors|prepared_statements|stat_activity|statistic|statistic_ext_data|stats|stats_ext|stats_ext_exprs)$'"
)
# Most functions in C are a server's or an extension's, and read no tables by themselves; those that return rows and are
# not immutable may, as `crosstab` does. An aggregate runs functions of its own.
_MAY_READ = f"""
  p.oid >= {FIRST_OWN_OID} AND (l.lanname NOT IN ('internal', 'c')
    OR l.lanname = 'c' AND p.proretset AND p.provolatile <> 'i'
    OR p.prokind = 'a' AND EXISTS (SELECT FROM pg_aggregate a
      JOIN pg_proc own ON own.oid IN (aggtransfn, aggfinalfn, aggcombinefn, aggmtransfn, aggminvtransfn, aggmfinalfn)
      JOIN pg_language ol ON ol.oid = own.prolang
      WHERE a.aggfnoid = p.oid AND ol.lanname NOT IN ('internal', 'c')))
"""
_VIEWS = rf"""
SELECT coalesce(json_agg(json_build_array(n.nspname, c.relname, strpos(t.tree, {_WHOLE_ROW}) > 0,
  (SELECT coalesce(json_agg(DISTINCT jsonb_build_array(rn.nspname, r.relname, a.attname)), '[]')
   FROM pg_depend d JOIN pg_class r ON r.oid = d.refobjid JOIN pg_namespace rn ON rn.oid = r.relnamespace
   LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.refobjsubid AND d.refobjsubid <> 0
   WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
     AND d.refobjid <> c.oid),
  (SELECT coalesce(json_agg(DISTINCT jsonb_build_array(pn.nspname, p.proname)), '[]')
   FROM pg_depend d LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
   JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode::oid END
   JOIN pg_namespace pn ON pn.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
   WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
     AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND {_MAY_READ}),
  EXISTS (SELECT FROM regexp_matches(t.tree, ':(funcid|relid) (\d{{1,5}}) ', 'g') AS found(parts)
    LEFT JOIN pg_proc p ON found.parts[1] = 'funcid' AND p.oid = found.parts[2]::oid
    LEFT JOIN pg_class r ON found.parts[1] = 'relid' AND r.oid = found.parts[2]::oid
    WHERE found.parts[2]::oid < {FIRST_OWN_OID}
      AND (p.proname ~ {_TELLING_FUNCTIONS} OR r.relname ~ {_TELLING_RELATIONS}))
)), '[]')
FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT w.ev_action::text AS tree OFFSET 0) AS t
WHERE c.relkind IN ('v', 'm') AND c.oid >= {FIRST_OWN_OID}
"""
_FAMILIES = f"""
SELECT coalesce(json_agg(json_build_array(cn.nspname, c.relname, pn.nspname, p.relname)), '[]')
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND c.oid >= {FIRST_OWN_OID}
"""
# No columns stands for all of them.
_GROUPS = f"""
WITH groups AS (
  SELECT o.conrelid AS relation, o.contype IN ('p', 'u', 'x') AS is_unique,
    strpos(coalesce(o.conbin::text, ''), {_WHOLE_ROW}) > 0 AS is_whole,
    ARRAY(SELECT unnest(o.conkey)) AS columns
  FROM pg_constraint o WHERE o.contype IN ('c', 'p', 'u', 'x') AND o.conrelid <> 0
  UNION ALL
  SELECT i.indrelid, i.indisunique OR i.indisexclusion,
    strpos(concat(i.indexprs::text, i.indpred::text), {_WHOLE_ROW}) > 0,
    ARRAY(SELECT unnest(i.indkey) UNION SELECT d.refobjsubid::int2 FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid)
  FROM pg_index i
  WHERE i.indisunique OR i.indisexclusion OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
), named AS (
  SELECT g.*, ARRAY(SELECT a.attname FROM pg_attribute a
    WHERE a.attrelid = g.relation AND a.attnum > 0 AND a.attnum = ANY (g.columns)) AS names
  FROM groups g WHERE g.relation >= {FIRST_OWN_OID}
)
SELECT coalesce(json_agg(json_build_array(n.nspname, c.relname, g.is_unique,
  CASE WHEN g.is_whole THEN '{{}}' ELSE g.names END)), '[]')
FROM named g JOIN pg_class c ON c.oid = g.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE g.is_whole OR cardinality(g.names) > 0
"""
_GENERATED = f"""
SELECT coalesce(json_agg(json_build_array(n.nspname, c.relname, a.attname,
  ARRAY(SELECT DISTINCT other.attname FROM pg_depend d
    JOIN pg_attribute other ON other.attrelid = a.attrelid AND other.attnum = d.refobjsubid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid NOT IN (0, a.attnum)
      AND ((d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum)
        OR (d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid)))
)), '[]')
FROM pg_attribute a JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attgenerated <> '' AND NOT a.attisdropped AND c.oid >= {FIRST_OWN_OID}
"""


class ViewFacts(NamedTuple):
    """What a view reads. A relation without a column is one of which no column is read.

    `may_show_any`: what its rows show follows from texts or statistics, and may be values of any table.
    """

    uses_whole_rows: bool
    columns: tuple[tuple[Name, str | None], ...]
    functions: frozenset[Name]
    may_show_any: bool = False


class ColumnGroup(NamedTuple):
    """Columns whose values a constraint or an index holds against each other; None is all of the table."""

    table: Name
    is_unique: bool
    columns: frozenset[str] | None


class GeneratedFacts(NamedTuple):
    table: Name
    column: str
    sources: frozenset[str]


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """`families` are pairs of a child table and its parent, partitions included."""

    views: Mapping[Name, ViewFacts]
    families: tuple[tuple[Name, Name], ...]
    groups: tuple[ColumnGroup, ...]
    generated: tuple[GeneratedFacts, ...]


_decode_views = msgspec.json.Decoder(
    list[tuple[str, str, bool, list[tuple[str, str, str | None]], list[tuple[str, str]], bool]]
).decode
_decode_families = msgspec.json.Decoder(list[tuple[str, str, str, str]]).decode
_decode_groups = msgspec.json.Decoder(list[tuple[str, str, bool, frozenset[str]]]).decode
_decode_generated = msgspec.json.Decoder(list[tuple[str, str, str, frozenset[str]]]).decode


async def load_column_facts(conn: DbConnection) -> ColumnFacts:
    """In one transaction. Raises DatabaseError."""
    asked = [Statement(sql) for sql in (_VIEWS, _FAMILIES, _GROUPS, _GENERATED)]
    _, _, *answers, _ = await conn.run([_BEGIN, SPELL_NAMES, *asked, _COMMIT])
    views, families, groups, generated = (rows.rows[0][0] or b"[]" for rows in answers)
    return ColumnFacts(
        views=_read_views(views),
        families=tuple(((a, b), (c, d)) for a, b, c, d in _decode_families(families)),
        groups=tuple(ColumnGroup((a, b), unique, names or None) for a, b, unique, names in _decode_groups(groups)),
        generated=tuple(GeneratedFacts((a, b), name, sources) for a, b, name, sources in _decode_generated(generated)),
    )


def _read_views(data: bytes) -> Mapping[Name, ViewFacts]:
    """A view has one rule for reading it, and may have others for writes."""
    found: dict[Name, ViewFacts] = {}
    for schema, name, is_whole, columns, functions, may_show_any in _decode_views(data):
        before = found.get((schema, name), ViewFacts(uses_whole_rows=False, columns=(), functions=frozenset()))
        found[schema, name] = ViewFacts(
            is_whole or before.uses_whole_rows,
            (*before.columns, *(((one[0], one[1]), one[2]) for one in columns)),
            before.functions.union(functions),
            may_show_any or before.may_show_any,
        )
    return found
