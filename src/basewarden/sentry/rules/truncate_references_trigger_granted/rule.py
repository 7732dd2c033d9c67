"""TRUNCATE, REFERENCES or TRIGGER is granted: row level security holds back none of them."""

from basewarden.sentry.fragments import API_ROLES, REACHED, RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names
from pgrest import quote_ident

_QUERY = f"""
WITH {API_ROLES}, {RELATIONS}, {REACHED}
SELECT 'schema' AS type, NULL AS schema, c.schema AS name, NULL AS column_name, NULL AS arguments,
  array_agg(DISTINCT r.role_name ORDER BY r.role_name) AS roles,
  json_build_object('tables', (array_agg(DISTINCT c.name ORDER BY c.name))[1:3], 'count', count(DISTINCT c.oid),
    'TRUNCATE', bool_or(r.may_truncate), 'REFERENCES', bool_or(r.may_reference), 'TRIGGER', bool_or(r.may_trigger))
    AS facts
FROM relations c JOIN reached r ON r.oid = c.oid
WHERE c.relkind IN ('r', 'p') AND (r.may_truncate OR r.may_reference OR r.may_trigger)
  AND (r.role = 0 OR NOT pg_has_role(r.role, c.relowner, 'USAGE'))
GROUP BY c.schema
"""
_RIGHTS = ("TRUNCATE", "REFERENCES", "TRIGGER")


def _assess(hit: Hit) -> RuleVerdict:
    rights = [right for right in _RIGHTS if hit.facts[right]]
    count, tables = hit.facts["count"], hit.facts["tables"]
    shown = list_names(tables) if count <= len(tables) else f"{', '.join(tables)} and {count - len(tables):,} more"
    roles = ", ".join(quote_ident(role) for role in hit.roles if role != "public")
    return RuleVerdict(
        Severity.WARNING if "public" in hit.roles else Severity.INFO,
        f"{hit.object.name}: {list_names(rights)} {'is' if len(rights) == 1 else 'are'} granted on its tables",
        f"{list_names(hit.roles)} have {list_names(rights)} on {shown}. Row level security does not hold these back: "
        "TRUNCATE empties a table whatever its policies say. The API itself sends none of them, but a function "
        "can, and so can who signs in to the database.",
        f"REVOKE {', '.join(rights)} ON ALL TABLES IN SCHEMA {quote_ident(hit.object.name)} "
        f"FROM {', '.join(filter(None, ('PUBLIC', roles)))};",
    )


RULE = Rule(
    "truncate_references_trigger_granted", "TRUNCATE, REFERENCES or TRIGGER is granted to strangers", _QUERY, _assess
)
