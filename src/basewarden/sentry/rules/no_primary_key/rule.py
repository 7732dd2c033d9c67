"""A table without a primary key: none of its rows can be named."""

from basewarden.sentry.fragments import RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity

_QUERY = f"""
WITH {RELATIONS}
SELECT 'table' AS type, r.schema, r.name, NULL AS column_name, NULL AS arguments, '{{}}'::text[] AS roles,
  '{{}}'::json AS facts
FROM relations r JOIN pg_class c ON c.oid = r.oid
WHERE r.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = r.oid AND i.indisprimary)
"""


def _assess(hit: Hit) -> RuleVerdict:
    name = hit.object.name
    return RuleVerdict(
        Severity.INFO,
        f"{name} has no primary key",
        f"Without a primary key, equal rows of {name} cannot be distinguished: the grid cannot edit one, undo "
        "cannot find it again, and replication refuses to change it.",
    )


RULE = Rule("no_primary_key", "A table has no primary key", _QUERY, _assess)
