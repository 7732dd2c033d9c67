"""pg_graphql answers the API's roles: a second way to every table that they may read, which lists them first."""

from basewarden.sentry.fragments import API_ROLES, REACHED, RELATIONS
from basewarden.sentry.grantees import describe_callers, is_open_to_anyone, list_grantees
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity

# The extension is known by its function: it has no relation in every version that could be named in `needs`.
_QUERY = f"""
WITH {API_ROLES}, {RELATIONS}, {REACHED}, entrance AS (
  SELECT DISTINCT a.role_name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace CROSS JOIN api_roles a
  WHERE n.nspname = 'graphql' AND p.proname = 'resolve' AND has_schema_privilege(a.role_name, n.oid, 'USAGE')
    AND has_function_privilege(a.role_name, p.oid, 'EXECUTE')
)
SELECT 'extension' AS type, '' AS schema, 'pg_graphql' AS name, NULL AS column_name, NULL AS arguments,
  array_agg(DISTINCT e.role_name ORDER BY e.role_name) AS roles,
  json_build_object('tables', count(DISTINCT r.oid)) AS facts
FROM entrance e JOIN reached r ON r.role_name = e.role_name WHERE r.may_select HAVING count(*) > 0
"""


def _assess(hit: Hit) -> RuleVerdict:
    tables = hit.facts["tables"]
    return RuleVerdict(
        Severity.WARNING if is_open_to_anyone(hit.roles) else Severity.INFO,
        f"GraphQL: {describe_callers(hit.roles)} can list the tables",
        f"pg_graphql describes every table and column that its caller may select: {tables:,} here. Row level security "
        "holds for the rows; the names of everything are shown, and a query may ask for many tables at once. If your "
        "pages do not use GraphQL, close it.",
        f"REVOKE USAGE ON SCHEMA graphql FROM {list_grantees(hit.roles)};",
    )


RULE = Rule("graphql_open", "GraphQL shows the tables to strangers", _QUERY, _assess)
