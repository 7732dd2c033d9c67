"""Finds which tables run user code when they are written or read: whatever is not PostgreSQL's own may do anything.

A function may call another, and its text does not say which, so it is not looked into: that one is reached is enough.
What reaches it is found the way back, along what the catalogue says depends on it: a default, a generated column, a
check, an index, a policy, an operator, a cast to JSON, a type and what is made of that type. Triggers are looked at
elsewhere, but for those of a partition, which the table itself does not show.
"""

from pgrest.schema.catalog_version import FIRST_OWN_OID
from pgrest.sql.text import Statement

PARTITIONS = Statement(
    "SELECT oid, pg_catalog.pg_partition_root(oid)::pg_catalog.oid FROM pg_catalog.pg_class "
    "WHERE relispartition AND relkind IN ('r', 'p', 'f')"
)
"""Partitions with the table that they are part of."""
RUNS_SQL = "query_to_xml|cursor_to_xml|table_to_xml|schema_to_xml|database_to_xml|ts_stat$|ts_rewrite$"
"""A pattern of functions of PostgreSQL's own that run SQL which they are given, or read a table of a given name."""
# These write large objects.
_RUNNERS = f"'^({RUNS_SQL}|lo_|lowrite$)'"


def _class(name: str) -> str:
    return f"'pg_catalog.pg_{name}'::pg_catalog.regclass"


_FOLLOWED = ", ".join(
    _class(name) for name in ("attrdef", "constraint", "policy", "class", "type", "operator", "opclass", "cast")
)
_RUNS = "::pg_catalog.text ~ (SELECT pattern FROM runners)"
# Of a table, only policies that read it; and what has columns of its row type.
CODED = Statement(f"""
WITH RECURSIVE runners AS (
  SELECT ':funcid (' || pg_catalog.string_agg(oid::pg_catalog.text, '|') || ') ' AS pattern
  FROM pg_catalog.pg_proc WHERE oid < {FIRST_OWN_OID} AND proname ~ {_RUNNERS}
), code(class, object, in_policy) AS (
  (SELECT {_class("proc")}::pg_catalog.oid, oid, false FROM pg_catalog.pg_proc WHERE oid >= {FIRST_OWN_OID}
   UNION ALL SELECT {_class("opclass")}, oid, false FROM pg_catalog.pg_opclass WHERE oid >= {FIRST_OWN_OID}
   UNION ALL SELECT {_class("class")}, oid, false FROM pg_catalog.pg_class
     WHERE oid >= {FIRST_OWN_OID} AND relkind IN ('v', 'f')
   UNION ALL SELECT {_class("class")}, tgrelid, false FROM pg_catalog.pg_trigger
     JOIN pg_catalog.pg_class AS r ON r.oid = tgrelid WHERE NOT tgisinternal AND r.relispartition
   UNION ALL SELECT {_class("attrdef")}, oid, false FROM pg_catalog.pg_attrdef
     WHERE oid >= {FIRST_OWN_OID} AND adbin{_RUNS}
   UNION ALL SELECT {_class("constraint")}, oid, false FROM pg_catalog.pg_constraint
     WHERE oid >= {FIRST_OWN_OID} AND contype IN ('c', 'x') AND conbin{_RUNS}
   UNION ALL SELECT {_class("policy")}, oid, true FROM pg_catalog.pg_policy
     WHERE pg_catalog.concat(polqual, polwithcheck){_RUNS}
   UNION ALL SELECT {_class("class")}, indexrelid, false FROM pg_catalog.pg_index
     WHERE indexrelid >= {FIRST_OWN_OID} AND (indexprs IS NOT NULL OR indpred IS NOT NULL)
       AND pg_catalog.concat(indexprs, indpred){_RUNS})
  UNION
  SELECT e.class, e.object, c.in_policy OR e.class = {_class("policy")} FROM code AS c CROSS JOIN LATERAL (
    SELECT d.classid AS class, d.objid AS object FROM pg_catalog.pg_depend d
    WHERE d.refclassid = c.class AND d.refobjid = c.object AND d.classid IN ({_FOLLOWED})
      AND (c.class <> {_class("class")} OR d.classid = {_class("policy")})
    UNION ALL SELECT {_class("class")}, adrelid FROM pg_catalog.pg_attrdef
      WHERE c.class = {_class("attrdef")} AND oid = c.object
    UNION ALL SELECT {_class("class")}, conrelid FROM pg_catalog.pg_constraint
      WHERE c.class = {_class("constraint")} AND oid = c.object AND conrelid <> 0
    UNION ALL SELECT {_class("type")}, contypid FROM pg_catalog.pg_constraint
      WHERE c.class = {_class("constraint")} AND oid = c.object AND contypid <> 0
    UNION ALL SELECT {_class("class")}, polrelid FROM pg_catalog.pg_policy
      WHERE c.class = {_class("policy")} AND oid = c.object
    UNION ALL SELECT {_class("class")}, indrelid FROM pg_catalog.pg_index
      WHERE c.class = {_class("class")} AND indexrelid = c.object
    UNION ALL SELECT {_class("class")}, i.inhparent FROM pg_catalog.pg_inherits i
      JOIN pg_catalog.pg_class r ON r.oid = i.inhrelid AND r.relispartition
      WHERE c.class = {_class("class")} AND i.inhrelid = c.object
    UNION ALL SELECT {_class("type")}, castsource FROM pg_catalog.pg_cast
      WHERE c.class = {_class("cast")} AND oid = c.object AND casttarget = 'pg_catalog.json'::pg_catalog.regtype
    UNION ALL SELECT {_class("type")}, reltype FROM pg_catalog.pg_class
      WHERE c.class = {_class("class")} AND oid = c.object AND reltype <> 0
  ) AS e
)
SELECT r.oid, pg_catalog.bool_and(c.in_policy) FROM code AS c JOIN pg_catalog.pg_class AS r ON r.oid = c.object
WHERE c.class = {_class("class")} AND r.relkind IN ('r', 'p')
GROUP BY r.oid
""")
"""Tables, and whether only policies lead from them to code."""
