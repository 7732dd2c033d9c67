"""A foreign key to a table of auth by another key than the primary key, which an update of the system may drop."""

from basewarden.sentry.fragments import RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity

_QUERY = f"""
WITH {RELATIONS}
SELECT 'table' AS type, r.schema, r.name, NULL AS arguments, '{{}}'::text[] AS roles, (
    SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey)) AS column_name,
  json_build_object('constraint', c.conname, 'target', f.relname, 'index', x.relname) AS facts
FROM pg_constraint c JOIN relations r ON r.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
JOIN pg_namespace n ON n.oid = f.relnamespace JOIN pg_index i ON i.indexrelid = c.conindid
JOIN pg_class x ON x.oid = i.indexrelid
WHERE c.contype = 'f' AND c.conparentid = 0 AND n.nspname = 'auth' AND NOT i.indisprimary
"""


def _assess(hit: Hit) -> RuleVerdict:
    name, column, target = hit.object.name, hit.object.column, hit.facts["target"]
    return RuleVerdict(
        Severity.WARNING,
        f"{name}: {column} refers to auth.{target} by another key than its primary key",
        f"The foreign key {hit.facts['constraint']} rests on the index {hit.facts['index']}, which is not yours. "
        "An update of the system may change it: that fails on your table, or drops your key. Refer to the id of "
        f"{target}.",
    )


RULE = Rule("foreign_key_to_auth_unique", "A foreign key depends on an index of auth that may change", _QUERY, _assess)
