"""A schema of the system among the exposed ones: accounts, secrets, files or the catalog itself."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity

_NAMES = (
    "{auth,vault,storage,pg_catalog,information_schema,extensions,net,pgsodium,pgsodium_masks,realtime,cron,"
    "supabase_functions,supabase_migrations,pgbouncer}"
)
_QUERY = f"""
WITH {API_ROLES}
SELECT 'schema' AS type, '' AS schema, n.nspname::text AS name, NULL AS column_name, NULL AS arguments,
  coalesce(array_agg(a.role_name ORDER BY a.role_name) FILTER (WHERE has_schema_privilege(a.role_name, n.oid, 'USAGE')),
    '{{}}') AS roles, '{{}}'::json AS facts
FROM pg_namespace n CROSS JOIN api_roles a
WHERE n.nspname = ANY($1) AND n.nspname = ANY('{_NAMES}'::text[])
GROUP BY n.oid, n.nspname
"""


def _assess(hit: Hit) -> RuleVerdict:
    name, is_used = hit.object.name, bool(hit.roles)
    return RuleVerdict(
        Severity.CRITICAL if is_used else Severity.WARNING,
        f"The schema {name} is part of the API",
        f"{name} belongs to the system and is among the exposed schemas. "
        + (
            "Every table and function in it that a stranger has privileges on can be asked for through the API."
            if is_used
            else "The API's roles may not use it now, so that one GRANT is all that keeps it closed."
        )
        + " Take it out of the exposed schemas, in the settings of the API.",
    )


RULE = Rule("system_schema_exposed", "The API exposes a schema of the system", _QUERY, _assess)
