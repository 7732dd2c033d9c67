"""A partition or child of a table with row level security is reached by its own name, and has none itself."""

from basewarden.sentry.fragments import API_ROLES, GUARDED_PARENTS, REACHED, RELATIONS
from basewarden.sentry.rule import WRITES, Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, quote_object

_QUERY = f"""
WITH RECURSIVE {API_ROLES}, {RELATIONS}, {REACHED}, {GUARDED_PARENTS}
SELECT c.type, c.schema, c.name, NULL AS column_name, NULL AS arguments,
  array_agg(r.role_name ORDER BY r.role_name) AS roles,
  json_build_object('parent', (SELECT min(p.relname) FROM guarded_parents g JOIN pg_class p ON p.oid = g.parent
    WHERE g.child = c.oid), 'select', bool_or(r.may_select), 'insert', bool_or(r.may_insert),
    'update', bool_or(r.may_update), 'delete', bool_or(r.may_delete)) AS facts
FROM relations c JOIN reached r ON r.oid = c.oid
WHERE c.relkind IN ('r', 'p') AND NOT c.has_rls
  AND (r.may_select OR r.may_insert OR r.may_update OR r.may_delete)
  AND EXISTS (SELECT FROM guarded_parents g WHERE g.child = c.oid)
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
GROUP BY c.oid, c.type, c.schema, c.name
"""
_VERBS = {"select": "read", "insert": "add", "update": "change", "delete": "delete"}


def _assess(hit: Hit) -> RuleVerdict:
    verbs = list_names(word for fact, word in _VERBS.items() if hit.facts[fact])
    parent = hit.facts["parent"]
    return RuleVerdict(
        Severity.CRITICAL,
        f"{hit.object.name}: anyone with the public key can {verbs} this part of {parent}",
        f"{parent} has row level security, and {hit.object.name}, which holds a part of its rows, has none. "
        f"{list_names(hit.roles)} may {verbs} them by its own name, and then no policy of {parent} is asked.",
        f"ALTER TABLE {quote_object(hit.object)} ENABLE ROW LEVEL SECURITY;",
    )


RULE = Rule(
    "partition_open",
    "A partition is open although its parent is protected",
    _QUERY,
    _assess,
    reads_rows=True,
    writes=WRITES,
)
