"""A table's owner passes row level security that is not forced, and an API role is that owner or can become it."""

from basewarden.sentry.fragments import API_ROLES, RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, quote_object

_QUERY = f"""
WITH {API_ROLES}, {RELATIONS}
SELECT c.type, c.schema, c.name, NULL AS column_name, NULL AS arguments,
  array_agg(a.role_name ORDER BY a.role_name) AS roles,
  json_build_object('owner', pg_get_userbyid(c.relowner),
    'is_owner', bool_or(pg_has_role(a.role, c.relowner, 'USAGE'))) AS facts
FROM relations c JOIN api_roles a ON a.role <> 0 AND pg_has_role(a.role, c.relowner, 'MEMBER')
JOIN pg_roles r ON r.oid = a.role AND NOT r.rolsuper AND NOT r.rolbypassrls
WHERE c.relkind IN ('r', 'p') AND c.has_rls AND NOT c.forces_rls
GROUP BY c.oid, c.type, c.schema, c.name, c.relowner
"""


def _assess(hit: Hit) -> RuleVerdict:
    owner = hit.facts["owner"]
    if hit.facts["is_owner"]:
        severity = Severity.CRITICAL
        title = f"The policies of {hit.object.name} do not hold for {list_names(hit.roles)}"
        why = f"{list_names(hit.roles)} count as {owner}, who owns the table"
    else:
        severity = Severity.INFO
        title = f"{list_names(hit.roles)} can become {owner}, who passes the policies of {hit.object.name}"
        why = f"{owner} owns the table, and {list_names(hit.roles)} may become {owner} by SET ROLE"
    return RuleVerdict(
        severity,
        title,
        f"{why}. Row level security does not hold back a table's owner unless it is forced.",
        f"ALTER TABLE {quote_object(hit.object)} FORCE ROW LEVEL SECURITY;",
    )


RULE = Rule(
    "rls_not_forced", "Row level security does not hold for the owner of a table", _QUERY, _assess, reads_rows=True
)
