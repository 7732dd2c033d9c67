"""SELECT is granted on a sensitive column by itself, and rows are open: a grant on columns is easily overlooked."""

import msgspec

from basewarden.policy import is_sensitive_name
from basewarden.sentry.fragments import API_ROLES, POLICIES, RELATIONS
from basewarden.sentry.policies.facts import PolicyRecord, find_caller
from basewarden.sentry.policies.shape import PolicyAccess, assess_expression
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, revoke
from pgrest import quote_ident

_QUERY = f"""
WITH {API_ROLES}, {RELATIONS}, {POLICIES},
granted AS (
  SELECT a.attrelid, a.attnum, a.attname::text AS name, array_agg(o.role_name ORDER BY o.role_name) AS roles
  FROM relations c JOIN pg_attribute a ON a.attrelid = c.oid CROSS JOIN api_roles o
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attacl IS NOT NULL AND c.relkind IN ('r', 'p')
    AND has_schema_privilege(o.role_name, c.space, 'USAGE')
    AND has_column_privilege(o.role_name, c.oid, a.attnum, 'SELECT')
    AND NOT has_table_privilege(o.role_name, c.oid, 'SELECT')
  GROUP BY a.attrelid, a.attnum, a.attname
)
SELECT c.type, c.schema, c.name, g.name AS column_name, NULL AS arguments, g.roles,
  json_build_object('has_rls', c.has_rls, 'policies', CASE WHEN c.has_rls THEN (SELECT coalesce(json_agg(
    json_build_object('name', p.name, 'command', p.command, 'is_permissive', p.is_permissive, 'using', p.using_text,
      'check', p.check_text, 'roles', p.roles)), '[]') FROM policies p WHERE p.relation = c.oid) ELSE '[]' END) AS facts
FROM relations c JOIN granted g ON g.attrelid = c.oid
"""


def _assess(hit: Hit) -> RuleVerdict | None:
    column = hit.object.column or ""
    roles = [role for role in hit.roles if _shows_rows(hit, role)]
    if not is_sensitive_name(column) or not roles:
        return None
    return RuleVerdict(
        Severity.CRITICAL if roles != ["authenticated"] else Severity.WARNING,
        f"{hit.object.name}: {list_names(roles)} may read {column} by a grant on the column",
        f"{list_names(roles)} may not read the table, but a GRANT on its column {column} opens that one, and rows of "
        "the table are open.",
        revoke(hit, f"SELECT ({quote_ident(column)})"),
    )


def _shows_rows(hit: Hit, role: str) -> bool:
    """Rows that are not the caller's own."""
    if not hit.facts["has_rls"]:
        return True
    policies = msgspec.convert(hit.facts["policies"], tuple[PolicyRecord, ...])
    found = {
        assess_expression(policy.find_expression("select")).access[find_caller(role)]: policy.is_permissive
        for policy in policies
        if policy.applies(role, "select")
    }
    is_closed = found.get(PolicyAccess.NO_ROWS) is False
    return not is_closed and any(found.get(access) for access in (PolicyAccess.ALL_ROWS, PolicyAccess.SOME_ROWS))


RULE = Rule("column_grant_on_secret", "A grant on a column exposes sensitive data", _QUERY, _assess, reads_rows=True)
