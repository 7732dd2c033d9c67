"""Parts of the rules' queries: who the strangers are, what they reach, which policies there are.

A rule begins with `WITH` and those that it needs, in this order. Objects of extensions are left out.
"""

API_ROLES = """
api_roles AS (
  SELECT r.oid AS role, r.rolname::text AS role_name FROM pg_roles r WHERE r.rolname IN ('anon', 'authenticated')
  UNION ALL SELECT 0::oid, 'public'
    WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN ('anon', 'authenticated'))
)"""
"""The API's roles; where a database has none of them, every role that may sign in (PUBLIC)."""

AUTH_USERS = """
auth_users AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'auth' AND c.relname = 'users'
)"""
"""By the catalog: to_regclass fails for a login that may not use the schema."""

RELATIONS = """
relations AS (
  SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind, c.relowner, c.relrowsecurity AS has_rls,
    c.relforcerowsecurity AS forces_rls, n.oid AS space,
    CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END AS type,
    coalesce(lower(c.reloptions::text) ~ 'security_invoker=(true|on|1|yes)', false) AS is_invoker
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.deptype = 'e')
)"""
"""Tables (r, p, f) and views (v, m) of the exposed schemas."""

REACHED = """
reached AS (
  SELECT c.oid, a.role, a.role_name,
    has_any_column_privilege(a.role_name, c.oid, 'SELECT') AS may_select,
    has_any_column_privilege(a.role_name, c.oid, 'INSERT') AS may_insert,
    has_any_column_privilege(a.role_name, c.oid, 'UPDATE') AS may_update,
    has_table_privilege(a.role_name, c.oid, 'DELETE') AS may_delete,
    has_table_privilege(a.role_name, c.oid, 'TRUNCATE') AS may_truncate,
    has_any_column_privilege(a.role_name, c.oid, 'REFERENCES') AS may_reference,
    has_table_privilege(a.role_name, c.oid, 'TRIGGER') AS may_trigger
  FROM relations c CROSS JOIN api_roles a WHERE has_schema_privilege(a.role_name, c.space, 'USAGE')
)"""
"""What each of the API's roles may do with each of `relations`, before row level security."""

POLICIES = """
policies AS (
  SELECT p.oid, p.polrelid AS relation, p.polname::text AS name, p.polpermissive AS is_permissive,
    CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete'
      ELSE 'all' END AS command,
    pg_get_expr(p.polqual, p.polrelid) AS using_text, pg_get_expr(p.polwithcheck, p.polrelid) AS check_text,
    ARRAY(SELECT a.role_name FROM api_roles a WHERE 0 = ANY(p.polroles)
      OR EXISTS (SELECT FROM unnest(p.polroles) AS m(oid) WHERE a.role <> 0 AND pg_has_role(a.role, m.oid, 'USAGE'))
      ORDER BY 1) AS roles
  FROM pg_policy p
)"""
"""Every policy, with those of the API's roles that it applies to."""

GUARDED_PARENTS = """
all_parents AS (
  SELECT i.inhrelid AS child, i.inhparent AS parent FROM pg_inherits i
  UNION SELECT a.child, i.inhparent FROM all_parents a JOIN pg_inherits i ON i.inhrelid = a.parent
),
guarded_parents AS (
  SELECT a.child, a.parent FROM all_parents a JOIN pg_class c ON c.oid = a.parent
  WHERE c.relrowsecurity AND c.relkind IN ('r', 'p')
)"""
"""Parents with row level security, of partitions and of tables that inherit. Needs WITH RECURSIVE."""
