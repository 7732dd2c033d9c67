"""A role of the API that may log in to the database itself, past the API."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object

_QUERY = f"""
WITH {API_ROLES}
SELECT 'role' AS type, '' AS schema, a.role_name AS name, NULL AS column_name, NULL AS arguments,
  ARRAY[a.role_name] AS roles, '{{}}'::json AS facts
FROM api_roles a JOIN pg_roles r ON r.oid = a.role WHERE r.rolcanlogin
"""


def _assess(hit: Hit) -> RuleVerdict:
    return RuleVerdict(
        Severity.WARNING,
        f"{hit.object.name} may log in to the database itself",
        f"{hit.object.name} is the role that strangers have behind the API. Logged in, its holder writes any SQL, "
        "sets the claims that policies trust, and is held by no limit of the API. All that it takes is its password.",
        f"ALTER ROLE {quote_object(hit.object)} NOLOGIN;",
    )


RULE = Rule("api_role_may_log_in", "A role of the API can log in to the database", _QUERY, _assess)
