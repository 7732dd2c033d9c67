"""The login that this connection uses is a superuser."""

from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity

_QUERY = """
SELECT 'role' AS type, '' AS schema, r.rolname::text AS name, NULL AS column_name, NULL AS arguments,
  '{}'::text[] AS roles, '{}'::json AS facts
FROM pg_roles r WHERE r.rolname = session_user AND r.rolsuper
"""


def _assess(hit: Hit) -> RuleVerdict:
    return RuleVerdict(
        Severity.INFO,
        f"This connection logs in as {hit.object.name}, a superuser",
        "No privilege and no policy of the database holds for a superuser, so all that stands between an agent and the "
        "rest of the server is this gateway. A login that owns your tables and is no superuser does the same work.",
    )


RULE = Rule("login_is_superuser", "This connection logs in as a superuser", _QUERY, _assess)
