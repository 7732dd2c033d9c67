"""A role of the API that is a member of a role with power: it has that role's rights, or can take them."""

from basewarden.sentry.fragments import API_ROLES, RELATIONS
from basewarden.sentry.grantees import describe_callers
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, quote_object
from pgrest import quote_ident

# Since PostgreSQL 16 a membership may give nothing: neither the rights nor SET ROLE.
_MAY_BECOME = """CASE WHEN a.role = 0 THEN false WHEN current_setting('server_version_num')::int >= 160000
  THEN pg_has_role(a.role, g.oid, 'USAGE') OR pg_has_role(a.role, g.oid, 'SET')
  ELSE pg_has_role(a.role, g.oid, 'MEMBER') END"""
_QUERY = f"""
WITH {API_ROLES}, {RELATIONS}, powers AS (
  SELECT g.oid, g.rolname::text AS name, g.rolsuper OR g.rolbypassrls OR g.rolcreaterole AS has_attributes,
    EXISTS (SELECT FROM relations c WHERE c.relowner = g.oid) AS owns_tables,
    g.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_execute_server_program', 'pg_read_server_files',
      'pg_write_server_files', 'pg_signal_backend', 'pg_maintain') AS is_predefined
  FROM pg_roles g WHERE g.rolname NOT IN ('anon', 'authenticated')
)
SELECT 'role' AS type, '' AS schema, g.name, NULL AS column_name, NULL AS arguments,
  array_agg(a.role_name ORDER BY a.role_name) AS roles, json_build_object(
    'direct', array_agg(a.role_name ORDER BY a.role_name) FILTER (WHERE EXISTS (
      SELECT FROM pg_auth_members m WHERE m.roleid = g.oid AND m.member = a.role)),
    'inherits', bool_or(pg_has_role(a.role, g.oid, 'USAGE')), 'has_attributes', g.has_attributes,
    'owns_tables', g.owns_tables, 'is_predefined', g.is_predefined) AS facts
FROM powers g CROSS JOIN api_roles a JOIN pg_roles r ON r.oid = a.role
WHERE NOT r.rolsuper AND {_MAY_BECOME} AND (g.has_attributes OR g.owns_tables OR g.is_predefined
  OR g.name IN ('service_role', 'authenticator', 'postgres', 'supabase_admin'))
GROUP BY g.oid, g.name, g.has_attributes, g.owns_tables, g.is_predefined
"""


def _assess(hit: Hit) -> RuleVerdict:
    facts, direct = hit.facts, hit.facts["direct"] or []
    # Attributes such as BYPASSRLS come only with SET ROLE; ownership and privileges are inherited.
    is_worst = facts["inherits"] and (facts["owns_tables"] or facts["is_predefined"])
    more = [
        *(["attributes such as BYPASSRLS or CREATEROLE"] if facts["has_attributes"] else []),
        *(["tables of its own, whose policies do not hold for it"] if facts["owns_tables"] else []),
        *(["rights over the whole server"] if facts["is_predefined"] else []),
    ] or ["rights that strangers are not meant to have"]
    return RuleVerdict(
        Severity.CRITICAL if is_worst else Severity.WARNING,
        f"{hit.object.name}: {describe_callers(hit.roles)} can act as this role",
        f"{list_names(hit.roles)} may act as {hit.object.name}, which has {list_names(more)}.",
        f"REVOKE {quote_object(hit.object)} FROM {', '.join(map(quote_ident, direct))};"
        if set(direct) == set(hit.roles)
        else None,
    )


RULE = Rule("api_role_is_member", "A role of the API can act as a stronger role", _QUERY, _assess)
