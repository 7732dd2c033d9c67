"""An exposed schema in which the API's roles may make objects."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.grantees import describe_callers, list_grantees
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object

_QUERY = f"""
WITH {API_ROLES}
SELECT 'schema' AS type, '' AS schema, n.nspname::text AS name, NULL AS column_name, NULL AS arguments,
  array_agg(a.role_name ORDER BY a.role_name) AS roles, '{{}}'::json AS facts
FROM pg_namespace n CROSS JOIN api_roles a
WHERE n.nspname = ANY($1) AND has_schema_privilege(a.role_name, n.oid, 'CREATE')
GROUP BY n.oid, n.nspname
"""


def _assess(hit: Hit) -> RuleVerdict:
    name = quote_object(hit.object)
    return RuleVerdict(
        Severity.WARNING,
        f"{hit.object.name}: {describe_callers(hit.roles)} can create objects in this schema",
        f"CREATE on the schema {hit.object.name} lets its holder make tables and functions there. A function of a name "
        "that yours use is then called in the place of the right one, with the rights of its caller.",
        f"REVOKE CREATE ON SCHEMA {name} FROM {list_grantees(hit.roles)};",
    )


RULE = Rule("schema_create_granted", "Strangers can create objects in an exposed schema", _QUERY, _assess)
