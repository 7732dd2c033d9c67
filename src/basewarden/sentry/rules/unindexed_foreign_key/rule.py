"""A foreign key whose columns lead no index: each delete in the other table reads this one from end to end."""

from basewarden.sentry.fragments import RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object

# The columns may lead the index in any order. One that leaves out NULL alone serves too: those rows refer to nothing.
_QUERY = f"""
WITH {RELATIONS}, keys AS (
  SELECT c.oid, c.conrelid AS relation, c.conname::text AS name, c.conkey AS columns, f.relname::text AS target
  FROM pg_constraint c JOIN relations r ON r.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
  WHERE c.contype = 'f' AND c.conparentid = 0
)
SELECT 'table' AS type, r.schema, r.name, NULL AS arguments, '{{}}'::text[] AS roles, a.names AS column_name,
  json_build_object('constraint', k.name, 'target', k.target, 'quoted', a.quoted) AS facts
FROM keys k JOIN relations r ON r.oid = k.relation, LATERAL (
  SELECT string_agg(t.attname, ', ' ORDER BY o.place) AS names,
    string_agg(quote_ident(t.attname), ', ' ORDER BY o.place) AS quoted
  FROM unnest(k.columns) WITH ORDINALITY AS o(number, place)
  JOIN pg_attribute t ON t.attrelid = k.relation AND t.attnum = o.number) AS a
WHERE NOT EXISTS (
  SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
  WHERE i.indrelid = k.relation AND i.indisvalid AND m.amname IN ('btree', 'hash')
    AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = '(' || a.quoted || ' IS NOT NULL)')
    AND (i.indkey::int2[])[0:cardinality(k.columns) - 1] @> k.columns
    AND (i.indkey::int2[])[0:cardinality(k.columns) - 1] <@ k.columns)
"""


def _assess(hit: Hit) -> RuleVerdict:
    name, column, target = hit.object.name, hit.object.column, hit.facts["target"]
    return RuleVerdict(
        Severity.INFO,
        f"{name}: the foreign key {column} has no index",
        f"Each delete or change of a key in {target} looks for rows of {name} that refer to it, and reads the whole "
        f"table for that. Joins of {name} and {target} do so too.",
        f"CREATE INDEX ON {quote_object(hit.object)} ({hit.facts['quoted']});",
    )


RULE = Rule("unindexed_foreign_key", "A foreign key has no index", _QUERY, _assess)
