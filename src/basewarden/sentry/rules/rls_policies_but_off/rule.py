"""A table has policies, and row level security is off: none of them is asked."""

from basewarden.sentry.fragments import API_ROLES, REACHED, RELATIONS
from basewarden.sentry.rule import WRITES, Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, quote_object

_QUERY = f"""
WITH {API_ROLES}, {RELATIONS}, {REACHED},
open_to AS (
  SELECT r.oid, array_agg(r.role_name ORDER BY r.role_name) AS roles FROM reached r
  WHERE r.may_select OR r.may_insert OR r.may_update OR r.may_delete GROUP BY r.oid
)
SELECT c.type, c.schema, c.name, NULL AS column_name, NULL AS arguments, coalesce(r.roles, '{{}}') AS roles,
  json_build_object('policies', p.names) AS facts
FROM relations c
JOIN (SELECT polrelid, array_agg(polname::text ORDER BY polname) AS names FROM pg_policy GROUP BY polrelid) p
  ON p.polrelid = c.oid
LEFT JOIN open_to r ON r.oid = c.oid
WHERE c.relkind IN ('r', 'p') AND NOT c.has_rls
"""


def _assess(hit: Hit) -> RuleVerdict:
    names = list_names(f"“{name}”" for name in hit.facts["policies"])
    fix = f"ALTER TABLE {quote_object(hit.object)} ENABLE ROW LEVEL SECURITY;"
    if not hit.roles:
        return RuleVerdict(
            Severity.INFO,
            f"{hit.object.name}: the policies are not asked",
            f"Row level security is off, so that {names} do nothing. The API's roles have no rights on it today; "
            "a GRANT would open all its rows.",
            fix,
        )
    return RuleVerdict(
        Severity.CRITICAL,
        f"{hit.object.name}: the policies are not asked, and anyone with the public key uses all rows",
        f"The table has policies ({names}), but row level security is off, so that none of them is asked. "
        f"{list_names(hit.roles)} may use the table, and all its rows are open.",
        fix,
    )


RULE = Rule(
    "rls_policies_but_off",
    "Policies exist, but row level security is off",
    _QUERY,
    _assess,
    reads_rows=True,
    writes=WRITES,
)
