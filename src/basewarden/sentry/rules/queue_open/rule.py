"""A queue of pgmq whose messages the API's roles reach, without row level security."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.grantees import describe_callers
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, quote_object

_QUERY = f"""
WITH {API_ROLES}
SELECT 'table' AS type, n.nspname::text AS schema, c.relname::text AS name, NULL AS column_name, NULL AS arguments,
  array_agg(a.role_name ORDER BY a.role_name) AS roles, json_build_object(
    'read', bool_or(has_any_column_privilege(a.role_name, c.oid, 'SELECT')),
    'add', bool_or(has_any_column_privilege(a.role_name, c.oid, 'INSERT')),
    'delete', bool_or(has_table_privilege(a.role_name, c.oid, 'DELETE')),
    'is_exposed', 'pgmq' = ANY($1) OR 'pgmq_public' = ANY($1)) AS facts
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN api_roles a
WHERE n.nspname = 'pgmq' AND c.relkind IN ('r', 'p') AND c.relname ~ '^[qa]_' AND NOT c.relrowsecurity
  AND NOT c.relispartition AND has_schema_privilege(a.role_name, n.oid, 'USAGE')
  AND (has_any_column_privilege(a.role_name, c.oid, 'SELECT, INSERT')
    OR has_table_privilege(a.role_name, c.oid, 'DELETE'))
GROUP BY n.nspname, c.oid, c.relname
"""


def _assess(hit: Hit) -> RuleVerdict:
    kind, queue = ("queue" if hit.object.name.startswith("q_") else "archive"), hit.object.name[2:]
    verbs = list_names(verb for verb in ("read", "add", "delete") if hit.facts[verb])
    is_exposed = hit.facts["is_exposed"]
    return RuleVerdict(
        Severity.CRITICAL if is_exposed else Severity.WARNING,
        f"{kind} {queue}: {describe_callers(hit.roles)} may {verbs} its messages",
        f"Row level security is off for the {kind} of {queue}, and {list_names(hit.roles)} may {verbs} its messages. "
        + (
            "The API reaches it." if is_exposed else "Its schema is not exposed now; functions of yours still reach it."
        ),
        f"ALTER TABLE {quote_object(hit.object)} ENABLE ROW LEVEL SECURITY;",
    )


RULE = Rule("queue_open", "Strangers can use a message queue", _QUERY, _assess, is_everywhere=True)
