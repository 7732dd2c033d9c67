r"""Parts of the rules' queries about functions: which there are, who may run them, and what their bodies do.

A body is assessed by its code: without comments and strings, in lower case. A string that names a claim is kept.
None of them joins two long lists, whose length the planner does not know.
"""

_BODY = r"""regexp_replace(lower(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)),
    '(''[^'']*'')|--[^\n]*|/\*([^*]|\*+[^*/])*\*+/', '\1', 'g')"""
_CODE = r"""replace(regexp_replace(regexp_replace(b.body, '''(request\.[a-z._]*|role|service_role)''', '\1', 'g'),
    '''[^'']*''', '''''', 'g'), '"', '')"""
_COMPILED = "SELECT l.oid FROM pg_language l WHERE l.lanname IN ('c', 'internal')"

FUNCTIONS = """
functions AS (
  SELECT p.oid, n.nspname::text AS schema, p.proname::text AS name, n.oid AS space, p.proowner AS owner,
    l.lanname::text AS language, l.lanpltrusted AS is_trusted, p.prosecdef AS is_definer, p.proconfig AS settings,
    p.prosqlbody IS NOT NULL AS is_bound, p.pronargs AS inputs, p.prorettype AS returns,
    pg_get_function_identity_arguments(p.oid) AS arguments,
    p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) AS is_trigger
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  WHERE n.nspname = ANY($1) AND p.prokind IN ('f', 'p') AND NOT 'internal'::regtype = ANY(p.proargtypes)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
      AND d.deptype = 'e')
)"""
"""Functions and procedures of the exposed schemas."""

ROLES = """ARRAY(SELECT a.role_name FROM api_roles a
  WHERE NOT f.is_trigger AND has_schema_privilege(a.role_name, f.space, 'USAGE')
    AND has_function_privilege(a.role_name, f.oid, 'EXECUTE') ORDER BY 1)"""
"""Those of the API's roles that may call the function `f`. A trigger function runs by its trigger only."""

CODE = f"""LATERAL (SELECT b.body, {_CODE} AS code FROM (
  SELECT CASE WHEN p.prolang IN ({_COMPILED}) THEN NULL ELSE {_BODY} END AS body FROM pg_proc p WHERE p.oid = f.oid
  ) AS b) AS c"""
"""`body` of the function `f` has no comments, `code` no strings either. Both are NULL for compiled languages."""


def list_functions(condition: str) -> str:
    """A part `named` of the functions of every schema whose `b.code` meets the condition, by name."""
    return f"""
named AS MATERIALIZED (
  SELECT DISTINCT b.name FROM (SELECT b.name, {_CODE} AS code FROM (SELECT p.proname::text AS name, {_BODY} AS body
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prolang NOT IN ({_COMPILED})
      AND p.proname NOT IN ('uid', 'role', 'email', 'jwt')) AS b) AS b
  WHERE {condition}
)"""


CALLS_NAMED = r"""EXISTS (SELECT FROM regexp_matches(c.code, '([a-z_0-9]+)\s*\(', 'g') AS called
  WHERE called[1] IN (SELECT n.name FROM named n))"""
"""Whether the code calls one of `named`."""

_CALLER = r"\mauth\s*\.\s*(uid|jwt|role|email)\s*\(|\mrequest\.(jwt|header|cookie)|current_setting\s*\(\s*role\M"
CHECKING = list_functions(f"b.code ~ '{_CALLER}'")
CHECKS = f"coalesce(c.code ~ '{_CALLER}' OR {CALLS_NAMED}, false)"
"""Whether it asks who the caller is, itself or by one that it calls. `current_user` is the owner there."""
