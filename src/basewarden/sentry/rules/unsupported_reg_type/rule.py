"""A column of a type that holds object ids of this server: pg_upgrade refuses the database."""

from basewarden.sentry.fragments import RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity

# Ids of classes, types and roles are kept by pg_upgrade, and allowed.
_QUERY = f"""
WITH {RELATIONS}
SELECT r.type, r.schema, r.name, a.attname::text AS column_name, NULL AS arguments, '{{}}'::text[] AS roles,
  json_build_object('type', format_type(a.atttypid, a.atttypmod)) AS facts
FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE r.relkind IN ('r', 'p', 'm') AND coalesce(nullif(t.typelem, 0), t.oid) IN ('regcollation'::regtype,
  'regconfig'::regtype, 'regdictionary'::regtype, 'regnamespace'::regtype, 'regoper'::regtype,
  'regoperator'::regtype, 'regproc'::regtype, 'regprocedure'::regtype)
"""


def _assess(hit: Hit) -> RuleVerdict:
    name, column, kind = hit.object.name, hit.object.column, hit.facts["type"]
    return RuleVerdict(
        Severity.INFO,
        f"{name}: the column {column} keeps the database from being upgraded",
        f"The type {kind} stores an id that is another one on another server, so that pg_upgrade refuses the whole "
        "database. Store the name as text.",
    )


RULE = Rule("unsupported_reg_type", "The type of a column blocks major upgrades", _QUERY, _assess)
