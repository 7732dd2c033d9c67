"""Default privileges that let the API's roles write every table, or call every function, that a role will make."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.grantees import NO_ROLES, describe_callers
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names
from pgrest import quote_ident

# That PUBLIC may call every function is PostgreSQL's own default, which an entry for all schemas repeats.
_QUERY = f"""
WITH {API_ROLES}, given AS (
  SELECT d.defaclrole AS owner, d.defaclnamespace AS space, d.defaclobjtype = 'r' AS is_table,
    CASE x.grantee WHEN 0 THEN 'public' ELSE a.role_name END AS grantee,
    array_agg(x.privilege_type ORDER BY x.privilege_type) AS privileges
  FROM pg_default_acl d CROSS JOIN aclexplode(d.defaclacl) AS x LEFT JOIN api_roles a ON a.role = x.grantee
  WHERE x.grantee <> d.defaclrole AND (x.grantee = 0 OR a.role IS NOT NULL)
    AND ((d.defaclobjtype = 'r' AND x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'))
      OR (d.defaclobjtype = 'f' AND NOT (x.grantee = 0 AND d.defaclnamespace = 0)))
  GROUP BY 1, 2, 3, 4
)
SELECT 'role' AS type, coalesce(n.nspname::text, '') AS schema, r.rolname::text AS name, NULL AS column_name,
  NULL AS arguments, array_agg(DISTINCT g.grantee ORDER BY g.grantee) AS roles,
  json_build_object('grants', json_agg(json_build_object('is_table', g.is_table, 'grantee', g.grantee,
    'privileges', g.privileges) ORDER BY g.is_table, g.grantee)) AS facts
FROM given g JOIN pg_roles r ON r.oid = g.owner LEFT JOIN pg_namespace n ON n.oid = g.space
WHERE g.space = 0 OR n.nspname = ANY($1)
GROUP BY n.nspname, r.rolname
"""


def _assess(hit: Hit) -> RuleVerdict:
    grants, owner, schema = hit.facts["grants"], hit.object.name, hit.object.schema
    is_written = any(one["is_table"] for one in grants)
    kinds = list_names(
        (["write every new table"] * is_written)
        + ["call every new function"] * any(not one["is_table"] for one in grants)
    )
    where = f" in {schema}" if schema else ""
    revoked = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote_ident(owner)}" + (
        f" IN SCHEMA {quote_ident(schema)}" if schema else ""
    )
    return RuleVerdict(
        Severity.WARNING if is_written else Severity.INFO,
        f"{owner}: {describe_callers(hit.roles)} can {kinds} that this role creates{where}",
        f"The default privileges of {owner} say so. Whatever {owner} makes{where} from now on is open until row level "
        "security or a REVOKE closes it, and it is easy to forget once. What is there already is not changed by them.",
        "\n".join(
            f"{revoked} REVOKE {', '.join(one['privileges'])} ON {'TABLES' if one['is_table'] else 'ROUTINES'} FROM "
            f"{'PUBLIC' if one['grantee'] == NO_ROLES else quote_ident(one['grantee'])};"
            for one in grants
        ),
    )


RULE = Rule("default_privileges_open", "New tables and functions are open by default", _QUERY, _assess)
