"""What views show past row level security, and what the rules on views make of it."""

from typing import Final

import msgspec

from basewarden.policy import is_sensitive_name
from basewarden.sentry.fragments import API_ROLES, AUTH_USERS, REACHED, RELATIONS
from basewarden.sentry.policies.shape import PolicyAccess, assess_view
from basewarden.sentry.policies.truth import PolicyCaller
from basewarden.sentry.rule import Hit

VIEW_QUERY: Final = f"""
WITH RECURSIVE {API_ROLES}, {RELATIONS}, {REACHED}, {AUTH_USERS},
sources AS (
  SELECT DISTINCT r.ev_class AS view, d.refobjid AS relation
  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
  JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE r.rulename = '_RETURN' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
),
all_sources AS (
  SELECT s.view, s.relation FROM sources s
  UNION SELECT a.view, s.relation FROM all_sources a JOIN sources s ON s.view = a.relation
),
guarded AS (
  SELECT c.oid, c.relowner AS owner, c.relforcerowsecurity AS forces_rls,
    c.oid IN (SELECT u.oid FROM auth_users u) AS is_users,
    false AS is_stored
  FROM pg_class c WHERE c.relkind IN ('r', 'p') AND (c.relrowsecurity OR c.oid IN (SELECT u.oid FROM auth_users u))
),
stored AS (
  SELECT c.oid, c.relowner AS owner, bool_or(coalesce(g.is_users, false)) AS is_users
  FROM pg_class c JOIN all_sources a ON a.view = c.oid JOIN guarded g ON g.oid = a.relation
  WHERE c.relkind = 'm' GROUP BY c.oid, c.relowner
),
readable AS (
  SELECT c.oid, c.relkind, array_agg(r.role_name ORDER BY r.role_name) AS roles
  FROM relations c JOIN reached r ON r.oid = c.oid AND r.may_select WHERE c.relkind IN ('v', 'm')
  GROUP BY c.oid, c.relkind
),
views AS (
  SELECT c.oid, c.relowner AS owner,
    coalesce(lower(c.reloptions::text) ~ 'security_invoker=(true|on|1|yes)', false) AS is_invoker
  FROM pg_class c WHERE c.relkind = 'v' AND EXISTS (SELECT FROM sources s WHERE s.view = c.oid)
),
passing AS (
  SELECT v.oid, g.oid AS relation, coalesce(g.is_users, false) AS is_users, false AS is_stored
  FROM views v JOIN sources s ON s.view = v.oid JOIN guarded g ON g.oid = s.relation JOIN pg_roles o ON o.oid = v.owner
  WHERE NOT v.is_invoker
    AND (o.rolsuper OR o.rolbypassrls OR (NOT g.forces_rls AND pg_has_role(o.oid, g.owner, 'USAGE')))
  UNION ALL
  SELECT v.oid, m.oid, m.is_users, true
  FROM views v JOIN sources s ON s.view = v.oid JOIN stored m ON m.oid = s.relation
  WHERE NOT EXISTS (SELECT FROM readable r WHERE r.oid = m.oid)
    AND (NOT v.is_invoker OR EXISTS (SELECT FROM api_roles a
      WHERE has_any_column_privilege(a.role_name, m.oid, 'SELECT')))
),
shown AS (
  SELECT r.oid AS view, r.oid AS node FROM readable r WHERE r.relkind = 'v'
  UNION
  SELECT h.view, c.oid FROM shown h JOIN views n ON n.oid = h.node JOIN sources s ON s.view = n.oid
  JOIN views c ON c.oid = s.relation
  WHERE (NOT n.is_invoker OR EXISTS (SELECT FROM api_roles a
      WHERE has_any_column_privilege(a.role_name, c.oid, 'SELECT')))
    AND NOT (EXISTS (SELECT FROM readable r WHERE r.oid = c.oid) AND EXISTS (SELECT FROM passing p WHERE p.oid = c.oid))
),
found AS (
  SELECT h.view, h.node, p.relation, p.is_users, p.is_stored FROM shown h JOIN passing p ON p.oid = h.node
  UNION ALL
  SELECT r.oid, r.oid, g.oid, coalesce(g.is_users, false), true
  FROM readable r JOIN all_sources a ON a.view = r.oid JOIN guarded g ON g.oid = a.relation WHERE r.relkind = 'm'
),
paths AS (
  SELECT f.view, json_agg(json_build_object('table', f.relation::regclass::text,
    'through', quote_ident(s.nspname) || '.' || quote_ident(n.relname), 'is_users', f.is_users,
    'is_stored', f.is_stored, 'definitions', CASE WHEN f.node = f.view THEN json_build_array(pg_get_viewdef(f.view))
      ELSE json_build_array(pg_get_viewdef(f.view), pg_get_viewdef(f.node)) END)
    ORDER BY f.relation::regclass::text, f.node) AS found
  FROM found f JOIN pg_class n ON n.oid = f.node JOIN pg_namespace s ON s.oid = n.relnamespace GROUP BY f.view
)
SELECT c.type, c.schema, c.name, NULL AS column_name, NULL AS arguments, r.roles,
  json_build_object(
    'is_stored', c.relkind = 'm',
    'columns', ARRAY(SELECT a.attname::text FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND EXISTS (SELECT FROM api_roles o WHERE has_column_privilege(o.role_name, a.attrelid, a.attnum, 'SELECT'))
      ORDER BY a.attnum),
    'is_written', c.relkind = 'v' AND pg_relation_is_updatable(c.oid, false) & 28 <> 0 AND EXISTS (
      SELECT FROM reached w WHERE w.oid = c.oid AND (w.may_insert OR w.may_update OR w.may_delete)),
    'paths', coalesce(p.found, '[]')) AS facts
FROM relations c JOIN readable r ON r.oid = c.oid LEFT JOIN paths p ON p.view = c.oid
WHERE c.relkind = 'm' OR p.view IS NOT NULL
ORDER BY c.schema, c.name
"""
"""Views that the API's roles may read, with the guarded tables whose rows they show although row level security would
not: their owner passes it, or what they show was stored. A view over another one that is found itself is left out."""


class ViewPath(msgspec.Struct, frozen=True):
    """`through` is the view that passes row level security of `table`."""

    table: str
    through: str
    is_users: bool
    is_stored: bool
    definitions: tuple[str, ...]


class ViewPaths(msgspec.Struct, frozen=True):
    is_stored: bool
    columns: tuple[str, ...]
    is_written: bool
    paths: tuple[ViewPath, ...]

    @property
    def sensitive(self) -> list[str]:
        return [name for name in self.columns if is_sensitive_name(name)]


def read_view(hit: Hit) -> ViewPaths:
    """Without the paths on which a view asks itself whose row it is."""
    facts = msgspec.convert(hit.facts, ViewPaths)
    callers = {PolicyCaller.STRANGER if role == "authenticated" else PolicyCaller.SIGNED_OUT for role in hit.roles}
    paths = tuple(path for path in facts.paths if facts.is_stored or not _is_filtered(path, callers))
    return msgspec.structs.replace(facts, paths=paths)


def _is_filtered(path: ViewPath, callers: set[PolicyCaller]) -> bool:
    return any(
        all(assess_view(definition).access[caller] is PolicyAccess.NO_ROWS for caller in callers)
        for definition in path.definitions
    )
