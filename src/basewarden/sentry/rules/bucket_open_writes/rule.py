"""A bucket whose files others than their owners may add, change or delete."""

from basewarden.sentry.fragments import API_ROLES, POLICIES
from basewarden.sentry.grantees import describe_callers, is_open_to_anyone
from basewarden.sentry.policies.buckets import BUCKET_FACTS, BUCKETS, list_open
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names

_VERBS = {"insert": "add", "update": "change", "delete": "delete"}
_QUERY = f"""
WITH {API_ROLES}, {POLICIES}, {BUCKETS}
SELECT 'bucket' AS type, '' AS schema, b.name, NULL AS column_name, NULL AS arguments,
  ARRAY(SELECT a.role_name FROM api_roles a WHERE has_schema_privilege(a.role_name, 'storage', 'USAGE')
    AND (has_any_column_privilege(a.role_name, o.oid, 'INSERT, UPDATE')
      OR has_table_privilege(a.role_name, o.oid, 'DELETE'))) AS roles, {BUCKET_FACTS} AS facts
FROM buckets b CROSS JOIN objects o
"""


def _assess(hit: Hit) -> RuleVerdict | None:
    by_command = {command: _list_roles(hit, command) for command in _VERBS}
    anyone = [command for command, roles in by_command.items() if is_open_to_anyone(roles)]
    # That those who signed up add files is what buckets are for; that they change those of others is not.
    signed_up = [command for command, roles in by_command.items() if roles and command != "insert"]
    commands = anyone or signed_up
    if not commands:
        return None
    roles = sorted({role for command in commands for role in by_command[command]})
    verbs = list_names(_VERBS[command] for command in commands)
    names = sorted(
        {
            one["name"]
            for command in commands
            for one in list_open(hit.facts["policies"], hit.object.name, command, ignores_path=True)
        }
    )
    says = f"The policy {list_names(names)} does not ask" if names else "Row level security is off: nothing asks"
    return RuleVerdict(
        Severity.CRITICAL if anyone else Severity.WARNING,
        f"bucket {hit.object.name}: {describe_callers(roles)} can {verbs} files",
        f"{says} who owns a file. The files of others can be replaced or removed, or the bucket filled at your cost.",
    )


def _list_roles(hit: Hit, command: str) -> list[str]:
    if not hit.facts["has_rls"]:
        return list(hit.roles)
    found = list_open(hit.facts["policies"], hit.object.name, command, ignores_path=True)
    return sorted({role for one in found for role in one["roles"]} & set(hit.roles))


RULE = Rule(
    "bucket_open_writes",
    "Strangers can write files to a bucket",
    _QUERY,
    _assess,
    needs=("storage.buckets", "storage.objects"),
)
