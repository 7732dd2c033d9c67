"""A table that strangers may write, whose trigger writes elsewhere with the rights of its owner."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.function_parts import CODE
from basewarden.sentry.grantees import describe_callers
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names

_WRITES = r"\m(insert\s+into\M|update\s+\w|delete\s+from\M|merge\s+into\M|(truncate|execute|perform|call)\M)"
_MAY = """CASE e.command WHEN 'a' THEN has_any_column_privilege(a.role_name, t.tgrelid, 'INSERT')
  WHEN 'w' THEN has_any_column_privilege(a.role_name, t.tgrelid, 'UPDATE')
  WHEN 'd' THEN has_table_privilege(a.role_name, t.tgrelid, 'DELETE')
  ELSE has_table_privilege(a.role_name, t.tgrelid, 'TRUNCATE') END"""
# TRUNCATE asks no policy.
_POLICY = """EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.tgrelid AND p.polpermissive
  AND p.polcmd IN (e.command, '*')
  AND coalesce(pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid), '') <> 'false'
  AND (0 = ANY(p.polroles) OR EXISTS (SELECT FROM unnest(p.polroles) AS m(oid)
    WHERE a.role <> 0 AND pg_has_role(a.role, m.oid, 'USAGE'))))"""
# Only system tables with indexes are joined here, as there may be thousands of triggers.
_QUERY = rf"""
WITH {API_ROLES}, triggers AS MATERIALIZED (
  SELECT t.tgrelid, t.tgtype, k.relkind, k.relname::text AS name, k.relrowsecurity AS has_rls,
    n.nspname::text AS schema,
    n.oid AS space, f.proname::text AS function, c.code ~ '\mexecute\M' AS is_dynamic, c.code ~ '{_WRITES}' AS writes
  FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_class k ON k.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = k.relnamespace, {CODE}
  WHERE NOT t.tgisinternal AND t.tgenabled NOT IN ('D', 'R') AND f.prosecdef AND n.nspname = ANY($1)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid
      AND d.deptype = 'e')
), started AS MATERIALIZED (
  SELECT t.*, ARRAY(SELECT a.role_name FROM api_roles a
    WHERE has_schema_privilege(a.role_name, t.space, 'USAGE') AND EXISTS (
      SELECT FROM (VALUES (4, 'a'::"char"), (16, 'w'), (8, 'd'), (32, 't')) AS e(bit, command)
      WHERE t.tgtype & e.bit <> 0 AND {_MAY} AND (NOT t.has_rls OR e.command = 't' OR {_POLICY}))) AS roles
  FROM triggers t WHERE t.writes
)
SELECT CASE WHEN s.relkind = 'v' THEN 'view' ELSE 'table' END AS type, s.schema, s.name, NULL AS column_name,
  NULL AS arguments, array_agg(DISTINCT r.name ORDER BY r.name) AS roles, json_build_object(
    'functions', array_agg(DISTINCT s.function ORDER BY s.function), 'is_dynamic', bool_or(s.is_dynamic)) AS facts
FROM started s CROSS JOIN unnest(s.roles) AS r(name)
GROUP BY s.tgrelid, s.relkind, s.schema, s.name
"""


def _assess(hit: Hit) -> RuleVerdict:
    functions, is_dynamic = list_names(hit.facts["functions"]), hit.facts["is_dynamic"]
    return RuleVerdict(
        Severity.WARNING if is_dynamic else Severity.INFO,
        f"{hit.object.name}: {describe_callers(hit.roles)} can start {functions} by a write",
        f"A trigger of {hit.object.name} runs {functions} with its owner's rights, and it writes elsewhere. What the "
        "caller puts into the row is what it works with, and revoking the right to execute a function does not stop a "
        "trigger."
        + (" It builds SQL from text: see that no value of the row becomes part of it unquoted." * is_dynamic),
    )


RULE = Rule("definer_trigger_reachable", "Strangers can start a trigger with its owner's rights", _QUERY, _assess)
