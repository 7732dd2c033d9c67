"""A foreign table is reachable: its rows come from another server, and row level security cannot apply to it."""

from basewarden.policy import is_sensitive_name
from basewarden.sentry.fragments import API_ROLES, REACHED, RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, revoke

_QUERY = f"""
WITH {API_ROLES}, {RELATIONS}, {REACHED}
SELECT c.type, c.schema, c.name, NULL AS column_name, NULL AS arguments,
  array_agg(r.role_name ORDER BY r.role_name) AS roles,
  json_build_object('read', bool_or(r.may_select), 'write', bool_or(r.may_insert OR r.may_update OR r.may_delete),
    'columns', ARRAY(SELECT a.attname::text FROM pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND EXISTS (SELECT FROM api_roles o WHERE has_column_privilege(o.role_name, a.attrelid, a.attnum, 'SELECT'))
      ORDER BY a.attnum)) AS facts
FROM relations c JOIN reached r ON r.oid = c.oid
WHERE c.relkind = 'f' AND (r.may_select OR r.may_insert OR r.may_update OR r.may_delete)
GROUP BY c.oid, c.type, c.schema, c.name
"""


def _assess(hit: Hit) -> RuleVerdict:
    is_anyones = list(hit.roles) != ["authenticated"]
    is_worst = is_anyones and (hit.facts["write"] or any(map(is_sensitive_name, hit.facts["columns"])))
    verbs = list_names(verb for verb in ("read", "write") if hit.facts[verb])
    return RuleVerdict(
        Severity.CRITICAL if is_worst else Severity.WARNING,
        f"{hit.object.name}: {list_names(hit.roles)} can {verbs} all rows of the foreign table",
        "The rows are on another server, and row level security cannot apply to a foreign table: who may use it "
        "has all that its server's login may see there.",
        revoke(hit),
    )


RULE = Rule("foreign_table_open", "A foreign table is open to strangers", _QUERY, _assess, reads_rows=True)
