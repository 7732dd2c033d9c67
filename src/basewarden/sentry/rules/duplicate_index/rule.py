"""Indexes of one table that are the same but for their names: each write pays for all of them."""

from basewarden.sentry.fragments import RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names
from pgrest import quote_ident

# What enforces something comes first and is kept. A plain index does nothing that a unique one does not.
_QUERY = f"""
WITH {RELATIONS}, indexes AS (
  SELECT i.indrelid AS relation, c.relname::text AS name, i.indexrelid AS index, i.indisunique AS is_unique,
    i.indisreplident OR EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) AS is_needed,
    ROW(c.relam, i.indnkeyatts, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text,
      pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid))::text AS what
  FROM pg_index i JOIN relations r ON r.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid
  WHERE i.indisvalid AND NOT c.relispartition
), alike AS (
  SELECT i.relation, array_agg(i.name ORDER BY i.is_needed DESC, i.is_unique DESC, i.name) AS names,
    (array_agg(i.index ORDER BY i.name))[1] AS index, count(*) FILTER (WHERE i.is_needed) AS needed,
    bool_or(i.is_unique AND NOT i.is_needed) AND NOT bool_or(i.is_unique AND i.is_needed)
      AND count(*) FILTER (WHERE i.is_needed) > 0 AS is_mixed
  FROM indexes i GROUP BY i.relation, i.what HAVING count(*) > 1
)
SELECT 'table' AS type, r.schema, r.name, NULL AS arguments, '{{}}'::text[] AS roles,
  (SELECT string_agg(pg_get_indexdef(x.indexrelid, k, true), ', ' ORDER BY k)
    FROM pg_index x, generate_series(1, x.indnatts) AS k WHERE x.indexrelid = a.index) AS column_name,
  json_build_object('indexes', a.names, 'may_drop', a.needed < 2 AND NOT a.is_mixed) AS facts
FROM alike a JOIN relations r ON r.oid = a.relation WHERE a.needed < cardinality(a.names)
"""


def _assess(hit: Hit) -> RuleVerdict:
    kept, *rest = hit.facts["indexes"]
    schema = quote_ident(hit.object.schema)
    return RuleVerdict(
        Severity.INFO,
        f"{hit.object.name} has the same index more than once",
        f"{list_names([kept, *rest])} are over the same columns in the same way. Each write to {hit.object.name} keeps "
        "all of them up to date, and reads need one.",
        "\n".join(f"DROP INDEX {schema}.{quote_ident(name)};" for name in rest) if hit.facts["may_drop"] else None,
    )


RULE = Rule("duplicate_index", "A table has two equal indexes", _QUERY, _assess)
