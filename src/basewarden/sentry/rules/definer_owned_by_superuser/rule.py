"""A SECURITY DEFINER function of a superuser that the API's roles may call: a mistake in it is one without limits."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.function_parts import FUNCTIONS, ROLES
from basewarden.sentry.grantees import describe_callers
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity

_QUERY = f"""
WITH {API_ROLES}, {FUNCTIONS}, callable AS (SELECT f.*, {ROLES} AS roles FROM functions f WHERE f.is_definer)
SELECT 'function' AS type, f.schema, f.name, NULL AS column_name, f.arguments, f.roles,
  json_build_object('owner', r.rolname) AS facts
FROM callable f JOIN pg_roles r ON r.oid = f.owner
WHERE f.roles <> '{{}}' AND r.rolsuper
"""


def _assess(hit: Hit) -> RuleVerdict:
    owner = hit.facts["owner"]
    return RuleVerdict(
        Severity.WARNING,
        f"{hit.object.name}: {describe_callers(hit.roles)} can call it, and it runs as a superuser",
        f"{hit.object.name} is SECURITY DEFINER and belongs to {owner}, a superuser. A mistake in its body lets a "
        "caller do anything on the server: read every database, write files, run programs. Give it to a role "
        "that may do no more than it needs.",
    )


RULE = Rule("definer_owned_by_superuser", "Strangers can call a function that runs as a superuser", _QUERY, _assess)
