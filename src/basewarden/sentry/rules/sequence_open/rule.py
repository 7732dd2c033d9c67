"""Sequences of an exposed schema that the API's roles may set: one finding for the schema."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.grantees import describe_callers, list_grantees
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object

_QUERY = f"""
WITH {API_ROLES}, open AS (
  SELECT c.oid, c.relname::text AS name, c.relnamespace AS space, a.role_name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN api_roles a
  WHERE c.relkind = 'S' AND n.nspname = ANY($1) AND has_schema_privilege(a.role_name, n.oid, 'USAGE')
    AND has_sequence_privilege(a.role_name, c.oid, 'UPDATE')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.deptype = 'e')
)
SELECT 'schema' AS type, '' AS schema, n.nspname::text AS name, NULL AS column_name, NULL AS arguments,
  array_agg(DISTINCT o.role_name ORDER BY o.role_name) AS roles,
  json_build_object('count', count(DISTINCT o.oid),
    'first', (array_agg(DISTINCT o.name ORDER BY o.name))[1:5]) AS facts
FROM open o JOIN pg_namespace n ON n.oid = o.space GROUP BY n.nspname
"""


def _assess(hit: Hit) -> RuleVerdict:
    count, first = hit.facts["count"], ", ".join(hit.facts["first"])
    sequences = f"{count:,} sequences" if count > 1 else "a sequence"
    return RuleVerdict(
        Severity.INFO,
        f"{hit.object.name}: {describe_callers(hit.roles)} can set {sequences}",
        f"UPDATE on a sequence lets its holder set the next number, so that new rows fail on keys that exist: {first}"
        f"{' and more' * (count > len(hit.facts['first']))}. The API has no call for that by itself; a function that "
        "runs setval with the rights of its caller has. Adding rows needs USAGE only.",
        f"REVOKE UPDATE ON ALL SEQUENCES IN SCHEMA {quote_object(hit.object)} FROM {list_grantees(hit.roles)};",
    )


RULE = Rule("sequence_open", "Strangers can change sequences", _QUERY, _assess)
