"""A SECURITY DEFINER function that the API's roles may call: it does for strangers what its owner may do."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.function_parts import CHECKING, CHECKS, CODE, FUNCTIONS, ROLES
from basewarden.sentry.grantees import describe_callers, is_open_to_anyone, list_grantees
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object

# A body with none of these, and no call but of the harmless functions, reaches no data.
_WRITES = r"\m(insert|update|delete|merge|truncate|execute|copy|alter|create|drop|grant|revoke|setval|set_config)\M"
_REACHES = rf"{_WRITES}|\m(from|into|table|perform|call|set|do)\M"
_HARMLESS = (
    "{now,clock_timestamp,coalesce,nullif,greatest,least,lower,upper,trim,length,concat,format,round,abs,random,"
    "gen_random_uuid,md5,to_char,date_trunc,json_build_object,jsonb_build_object,if,in,and,or,not,values,return,uid,"
    "role,email,jwt,numeric,varchar,raise}"
)

_QUERY = rf"""
WITH {API_ROLES}, {FUNCTIONS}, {CHECKING}, callable AS (
  SELECT f.*, {ROLES} AS roles FROM functions f WHERE f.is_definer
)
SELECT 'function' AS type, f.schema, f.name, NULL AS column_name, f.arguments, f.roles,
  json_build_object('checks_caller', {CHECKS}, 'writes', coalesce(c.code ~ '{_WRITES}', true),
    'is_used_by_policies', EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_proc'::regclass
      AND d.refobjid = f.oid AND d.classid = 'pg_policy'::regclass)) AS facts
FROM callable f, {CODE}
WHERE f.roles <> '{{}}' AND (f.language NOT IN ('sql', 'plpgsql') OR c.code ~ '{_REACHES}'
  OR EXISTS (SELECT FROM regexp_matches(c.code, '([a-z_0-9]+)\s*\(', 'g') AS called
    WHERE NOT called[1] = ANY('{_HARMLESS}'::text[])))
"""


def _assess(hit: Hit) -> RuleVerdict:
    is_checked, writes = hit.facts["checks_caller"], hit.facts["writes"]
    worst = Severity.CRITICAL if writes and is_open_to_anyone(hit.roles) else Severity.WARNING
    says = (
        "Its body asks who the caller is; read it to see that the check covers everything it does."
        if is_checked
        else "Its body does not ask who the caller is, so it does the same for everyone."
    )
    in_policies = hit.facts["is_used_by_policies"]
    return RuleVerdict(
        Severity.INFO if is_checked else worst,
        f"{hit.object.name}: {describe_callers(hit.roles)} can call it with its owner's rights",
        f"{hit.object.name} is SECURITY DEFINER: row level security and privileges of the caller do not hold inside it"
        f"{', and it changes data' if writes else ''}. {says}"
        + (" Policies call it, so move it to a schema that is not exposed instead of revoking it." * in_policies),
        None
        if in_policies
        else f"REVOKE EXECUTE ON ROUTINE {quote_object(hit.object)} FROM {list_grantees(hit.roles)};",
    )


RULE = Rule("definer_function_open", "Strangers can call a SECURITY DEFINER function", _QUERY, _assess)
