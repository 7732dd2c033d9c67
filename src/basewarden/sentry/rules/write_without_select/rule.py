"""Row level security is off, and the API's roles may write and not read: what looks for readable tables misses it."""

from basewarden.sentry.fragments import API_ROLES, GUARDED_PARENTS, REACHED, RELATIONS
from basewarden.sentry.rule import WRITES, Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, quote_object

_QUERY = f"""
WITH RECURSIVE {API_ROLES}, {RELATIONS}, {REACHED}, {GUARDED_PARENTS}
SELECT c.type, c.schema, c.name, NULL AS column_name, NULL AS arguments,
  array_agg(r.role_name ORDER BY r.role_name) AS roles,
  json_build_object('insert', bool_or(r.may_insert), 'update', bool_or(r.may_update),
    'delete', bool_or(r.may_delete)) AS facts
FROM relations c JOIN reached r ON r.oid = c.oid
WHERE c.relkind IN ('r', 'p') AND NOT c.has_rls AND (r.may_insert OR r.may_update OR r.may_delete)
  AND NOT EXISTS (SELECT FROM reached o WHERE o.oid = c.oid AND o.may_select)
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
  AND NOT EXISTS (SELECT FROM guarded_parents g WHERE g.child = c.oid)
GROUP BY c.oid, c.type, c.schema, c.name
"""
_VERBS = {"insert": "add", "update": "change", "delete": "delete"}


def _assess(hit: Hit) -> RuleVerdict:
    verbs = list_names(word for fact, word in _VERBS.items() if hit.facts[fact])
    is_worst = hit.facts["update"] or hit.facts["delete"]
    return RuleVerdict(
        Severity.CRITICAL if is_worst else Severity.WARNING,
        f"{hit.object.name}: anyone with the public key can {verbs} what is in it, without being able to read it",
        f"Row level security is off. {list_names(hit.roles)} may not read this table, but may {verbs} its rows, and no "
        "policy decides which.",
        f"ALTER TABLE {quote_object(hit.object)} ENABLE ROW LEVEL SECURITY;",
    )


RULE = Rule("write_without_select", "A table can be written without being readable", _QUERY, _assess, writes=WRITES)
