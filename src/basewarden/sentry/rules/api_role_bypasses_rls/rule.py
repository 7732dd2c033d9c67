"""A role of the API with BYPASSRLS or superuser: no policy holds for it."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.grantees import describe_callers
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object

_QUERY = f"""
WITH {API_ROLES}
SELECT 'role' AS type, '' AS schema, a.role_name AS name, NULL AS column_name, NULL AS arguments,
  ARRAY[a.role_name] AS roles, json_build_object('is_superuser', r.rolsuper) AS facts
FROM api_roles a JOIN pg_roles r ON r.oid = a.role WHERE r.rolbypassrls OR r.rolsuper
"""


def _assess(hit: Hit) -> RuleVerdict:
    is_superuser = hit.facts["is_superuser"]
    return RuleVerdict(
        Severity.CRITICAL,
        f"{hit.object.name}: no policy holds for this role",
        f"The role {hit.object.name} {'is a superuser' if is_superuser else 'has BYPASSRLS'}, so "
        f"{describe_callers(hit.roles)} passes every policy by"
        + (", and every privilege too: all of the server is open." if is_superuser else ": all rows are open."),
        f"ALTER ROLE {quote_object(hit.object)} NOBYPASSRLS{' NOSUPERUSER' * is_superuser};",
    )


RULE = Rule("api_role_bypasses_rls", "A role of the API ignores row level security", _QUERY, _assess)
