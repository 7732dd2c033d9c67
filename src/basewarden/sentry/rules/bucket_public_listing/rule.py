"""A public bucket whose files the API's roles can list: addresses that were meant to be known one by one."""

from basewarden.sentry.fragments import API_ROLES, POLICIES
from basewarden.sentry.grantees import describe_callers
from basewarden.sentry.policies.buckets import BUCKET_FACTS, BUCKETS, list_open
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names
from pgrest import quote_ident

_QUERY = f"""
WITH {API_ROLES}, {POLICIES}, {BUCKETS}
SELECT 'bucket' AS type, '' AS schema, b.name, NULL AS column_name, NULL AS arguments,
  ARRAY(SELECT a.role_name FROM api_roles a WHERE has_any_column_privilege(a.role_name, o.oid, 'SELECT')) AS roles,
  {BUCKET_FACTS} AS facts
FROM buckets b CROSS JOIN objects o WHERE b.is_public
"""


def _assess(hit: Hit) -> RuleVerdict | None:
    found = list_open(hit.facts["policies"], hit.object.name, "select", ignores_path=False)
    roles = sorted({role for one in found for role in one["roles"]} & set(hit.roles))
    if not hit.facts["has_rls"]:
        roles = list(hit.roles)
    if not roles:
        return None
    names = [one["name"] for one in found]
    says = f"The policy {list_names(names)} holds" if names else "Row level security is off, which holds"
    return RuleVerdict(
        Severity.WARNING,
        f"bucket {hit.object.name}: {describe_callers(roles)} can list the files",
        f"{says} for all files of this bucket. A public bucket needs no policy for SELECT: its files are read by their "
        "address. The policy adds the list of all addresses, those that nothing links to as well.",
        "\n".join(f"DROP POLICY {quote_ident(name)} ON storage.objects;" for name in names)
        if len(names) == 1 and "bucket_id" in found[0]["text"]
        else None,
    )


RULE = Rule(
    "bucket_public_listing",
    "Strangers can list the files of a public bucket",
    _QUERY,
    _assess,
    needs=("storage.buckets", "storage.objects"),
)
