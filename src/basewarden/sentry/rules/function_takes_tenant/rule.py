"""A SECURITY DEFINER function that takes a user or tenant as an argument, and does not compare it with the caller."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.function_parts import CALLS_NAMED, CODE, FUNCTIONS, ROLES, list_functions
from basewarden.sentry.grantees import describe_callers, list_grantees
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object

_WHOSE = (
    "(^|_)(tenant|user|owner|account|org|organi[sz]ation|team|company|customer|member|profile|workspace|client)"
    "(_?u?id)?(_(in|param|arg|input))?$|^(p_|_)?uid$"
)
_UID = r"\(?\s*(select\s+)?auth\s*\.\s*(uid|role|email)\s*\(\s*\)(\s+as\s+\w+)?\s*\)?"
# "Is signed in" and "is noted as who did it" say nothing about whose the argument is.
_NO_COMPARISON = rf"{_UID}\s*is\s+(not\s+)?null|\mvalues\s*\([^;]*"
_COMPARES = r"\mauth\s*\.\s*(uid|jwt|email)\s*\(|\mrequest\.jwt|\mservice_role\M"

_LEFT = f"regexp_replace(%s.code, '{_NO_COMPARISON}', '', 'g') ~ '{_COMPARES}'"
_QUERY = rf"""
WITH {API_ROLES}, {FUNCTIONS}, {list_functions(_LEFT % "b")}, callable AS (
  SELECT f.*, {ROLES} AS roles FROM functions f WHERE f.is_definer
)
SELECT 'function' AS type, f.schema, f.name, NULL AS column_name, f.arguments, f.roles,
  json_build_object('argument', taken.name, 'is_only_asked', f.returns = 'bool'::regtype AND EXISTS (
    SELECT FROM pg_depend d WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = f.oid
      AND d.classid = 'pg_policy'::regclass)) AS facts
FROM callable f, {CODE}, LATERAL (
  SELECT lower(i.name) AS name
  FROM pg_proc p, unnest(p.proargnames, p.proargmodes::text[]) WITH ORDINALITY AS i(name, mode, place)
  WHERE p.oid = f.oid AND coalesce(i.mode, 'i') IN ('i', 'b', 'v') AND lower(i.name) ~ '{_WHOSE}'
    AND (strpos(c.code, lower(i.name)) > 0 OR strpos(c.code, '$' || i.place) > 0)
  ORDER BY i.place LIMIT 1) AS taken
WHERE f.roles <> '{{}}' AND NOT {_LEFT % "c"} AND NOT {CALLS_NAMED}
"""


def _assess(hit: Hit) -> RuleVerdict:
    argument, in_policies = hit.facts["argument"], hit.facts["is_only_asked"]
    return RuleVerdict(
        Severity.INFO if in_policies else Severity.CRITICAL,
        f"{hit.object.name}: {describe_callers(hit.roles)} can call it for any {argument}",
        f"{hit.object.name} runs with its owner's rights and takes the {argument} that the caller sends, without "
        "comparing it with who the caller is. A caller sends that of another and gets, or changes, what is theirs."
        + (" It answers only yes or no, and policies call it: move it to a schema that is not exposed." * in_policies),
        None
        if in_policies
        else f"REVOKE EXECUTE ON ROUTINE {quote_object(hit.object)} FROM {list_grantees(hit.roles)};",
    )


RULE = Rule("function_takes_tenant", "A function trusts the user or tenant that its caller names", _QUERY, _assess)
