"""Row level security is on and there is no policy: who asks through the API gets an empty list, and no error."""

from basewarden.sentry.fragments import API_ROLES, REACHED, RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names

_QUERY = f"""
WITH {API_ROLES}, {RELATIONS}, {REACHED}
SELECT c.type, c.schema, c.name, NULL AS column_name, NULL AS arguments,
  array_agg(r.role_name ORDER BY r.role_name) AS roles, '{{}}'::json AS facts
FROM relations c JOIN reached r ON r.oid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.has_rls AND (r.may_select OR r.may_insert OR r.may_update OR r.may_delete)
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
GROUP BY c.oid, c.type, c.schema, c.name
"""


def _assess(hit: Hit) -> RuleVerdict:
    return RuleVerdict(
        Severity.INFO,
        f"{hit.object.name}: no row is reached through the API",
        f"Row level security is on and the table has no policy. {list_names(hit.roles)} may use the table, but get "
        "empty lists, and no error that says why.",
    )


RULE = Rule("rls_on_without_policies", "Row level security is on, but there is no policy", _QUERY, _assess)
