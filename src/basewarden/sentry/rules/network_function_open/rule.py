"""Functions that reach the network, files or an untrusted language, which the API's roles may call."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.function_parts import CHECKING, CHECKS, CODE, FUNCTIONS, ROLES
from basewarden.sentry.grantees import describe_callers, is_open_to_anyone, list_grantees
from basewarden.sentry.rule import Hit, ObjectType, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object

_NAMES = (
    r"http|http_(?:get|post|put|patch|delete|head)|dblink|dblink_(?:exec|connect|send_query)|pg_read_file|"
    r"pg_read_binary_file|pg_ls_dir|lo_import|lo_export"
)
_COPIES = r"\mcopy\M[^;]*\m(program|from\s+''|to\s+'')"
_EXTENSIONS = """
of_extensions AS (
  SELECT e.extname::text AS name, n.nspname::text AS schema, a.role_name, p.oid::regprocedure::text AS routine
  FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass
  JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace CROSS JOIN api_roles a
  WHERE e.extname IN ('http', 'pg_net', 'dblink') AND n.nspname = ANY($1)
    AND has_schema_privilege(a.role_name, n.oid, 'USAGE') AND has_function_privilege(a.role_name, p.oid, 'EXECUTE')
)"""
# With the rights of its caller, a function reaches only what its caller may call.
_QUERY = rf"""
WITH {API_ROLES}, {FUNCTIONS}, {CHECKING}, {_EXTENSIONS}, reaching AS (
  SELECT f.*, {ROLES} AS roles, (regexp_match(c.code, '\m({_NAMES})\s*\('))[1] AS callee,
    c.code ~ '{_COPIES}' AS copies,
    f.name ~ '^({_NAMES})$' AS is_named, NOT f.is_trusted AND f.language NOT IN ('c', 'internal') AS is_untrusted
  FROM functions f, {CODE}
)
SELECT 'extension' AS type, e.schema, e.name, NULL AS column_name, NULL AS arguments,
  array_agg(DISTINCT e.role_name ORDER BY e.role_name) AS roles,
  json_build_object('routines', array_agg(DISTINCT e.routine), 'checks_caller', false, 'language', NULL) AS facts
FROM of_extensions e GROUP BY e.schema, e.name
UNION ALL
SELECT 'function', f.schema, f.name, NULL, f.arguments, f.roles, json_build_object(
  'checks_caller', {CHECKS}, 'language', CASE WHEN f.is_untrusted THEN f.language END)
FROM reaching f, {CODE}
WHERE f.roles <> '{{}}' AND (f.is_untrusted OR f.is_named OR (f.inputs > 0 AND (
  (f.is_definer AND (f.callee IS NOT NULL OR f.copies))
  OR EXISTS (SELECT FROM pg_proc p CROSS JOIN api_roles i WHERE p.proname = f.callee
    AND has_schema_privilege(i.role_name, p.pronamespace, 'USAGE')
    AND has_function_privilege(i.role_name, p.oid, 'EXECUTE')))))
"""


def _assess(hit: Hit) -> RuleVerdict:
    name, language, who = hit.object.name, hit.facts["language"], describe_callers(hit.roles)
    worst = Severity.CRITICAL if is_open_to_anyone(hit.roles) else Severity.WARNING
    grantees = list_grantees(hit.roles)
    if hit.object.type is ObjectType.EXTENSION:
        return RuleVerdict(
            worst,
            f"{name}: {who} can make your database call other servers",
            f"The extension {name} is in an exposed schema, {hit.object.schema}, so its functions can be called "
            "through the API. The request comes from inside your database's own network.",
            "\n".join(f"REVOKE EXECUTE ON ROUTINE {one} FROM {grantees};" for one in sorted(hit.facts["routines"])),
        )
    reaches = (
        f"It is written in {language}, which may do on the database's server whatever the server's own user may."
        if language
        else "It reaches the network or the server's files, and takes arguments from its caller."
    )
    return RuleVerdict(
        Severity.INFO if hit.facts["checks_caller"] else worst,
        f"{name}: {who} can reach beyond the database",
        f"{name} can be called through the API. {reaches}",
        f"REVOKE EXECUTE ON ROUTINE {quote_object(hit.object)} FROM {grantees};",
    )


RULE = Rule("network_function_open", "Strangers can call a function that sends network requests", _QUERY, _assess)
