"""Row level security is off on a table that the API's roles may use: everyone has its rows."""

from basewarden.policy import is_sensitive_name
from basewarden.sentry.fragments import API_ROLES, GUARDED_PARENTS, REACHED, RELATIONS
from basewarden.sentry.rule import WRITES, Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, quote_object

_QUERY = f"""
WITH RECURSIVE {API_ROLES}, {RELATIONS}, {REACHED}, {GUARDED_PARENTS}
SELECT c.type, c.schema, c.name, NULL AS column_name, NULL AS arguments,
  array_agg(r.role_name ORDER BY r.role_name) AS roles,
  json_build_object(
    'select', bool_or(r.may_select), 'insert', bool_or(r.may_insert), 'update', bool_or(r.may_update),
    'delete', bool_or(r.may_delete), 'is_partitioned', c.relkind = 'p',
    'columns', CASE WHEN bool_or(has_table_privilege(r.role_name, c.oid, 'SELECT')) THEN '{{}}'
      ELSE ARRAY(SELECT a.attname::text FROM pg_attribute a JOIN api_roles o
        ON has_column_privilege(o.role_name, a.attrelid, a.attnum, 'SELECT')
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END) AS facts
FROM relations c JOIN reached r ON r.oid = c.oid
WHERE c.relkind IN ('r', 'p') AND NOT c.has_rls AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
  AND NOT EXISTS (SELECT FROM guarded_parents g WHERE g.child = c.oid)
  AND (r.may_select OR r.may_insert OR r.may_update OR r.may_delete)
GROUP BY c.oid, c.type, c.schema, c.name, c.relkind HAVING bool_or(r.may_select)
"""
_VERBS = {"select": "read", "insert": "add", "update": "change", "delete": "delete"}


def _assess(hit: Hit) -> RuleVerdict | None:
    if _is_column_grant(hit):
        return None
    verbs = list_names(word for fact, word in _VERBS.items() if hit.facts[fact])
    return RuleVerdict(
        Severity.CRITICAL,
        f"{hit.object.name}: anyone with the public key can {verbs} all rows",
        f"Row level security is off, and {list_names(hit.roles)} may {verbs} what is in this table. No policy decides "
        "which rows: all of them are open.",
        f"ALTER TABLE {quote_object(hit.object)} ENABLE ROW LEVEL SECURITY;",
    )


def _is_column_grant(hit: Hit) -> bool:
    """Where single columns are granted and nothing else, another rule names the sensitive ones."""
    writes = any(hit.facts[fact] for fact in ("insert", "update", "delete"))
    return not writes and any(map(is_sensitive_name, hit.facts["columns"]))


RULE = Rule("rls_off", "Row level security is off", _QUERY, _assess, reads_rows=True, writes=WRITES)
