"""A table that Realtime publishes and that row level security does not protect: its changes reach every listener."""

from basewarden.sentry.fragments import API_ROLES, REACHED, RELATIONS
from basewarden.sentry.grantees import describe_callers
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object

# Other publications serve subscribers with REPLICATION, which no stranger has.
_QUERY = f"""
WITH {API_ROLES}, {RELATIONS}, {REACHED}
SELECT 'table' AS type, c.schema, c.name, NULL AS column_name, NULL AS arguments,
  array_agg(r.role_name ORDER BY r.role_name) AS roles,
  json_build_object('has_rls', c.has_rls, 'is_one_of_all', p.puballtables OR NOT EXISTS (
    SELECT FROM pg_publication_rel m WHERE m.prpubid = p.oid AND m.prrelid = c.oid)) AS facts
FROM pg_publication p JOIN pg_publication_tables t ON t.pubname = p.pubname
JOIN relations c ON c.schema = t.schemaname AND c.name = t.tablename
JOIN reached r ON r.oid = c.oid JOIN pg_class k ON k.oid = c.oid
WHERE p.pubname = 'supabase_realtime' AND r.may_select AND (NOT c.has_rls OR k.relreplident = 'f')
GROUP BY c.oid, c.schema, c.name, c.has_rls, p.oid, p.puballtables
"""


def _assess(hit: Hit) -> RuleVerdict:
    name = quote_object(hit.object)
    if hit.facts["has_rls"]:
        return RuleVerdict(
            Severity.INFO,
            f"Realtime sends the keys of deleted rows of {hit.object.name} to every listener",
            "Policies are not applied to deletes: there is no row left to apply them to. With REPLICA IDENTITY FULL "
            "the database also writes the whole old row for Realtime to cut down to its key, which costs more and "
            "helps only listeners that compare old and new.",
            f"ALTER TABLE {name} REPLICA IDENTITY DEFAULT;",
        )
    return RuleVerdict(
        Severity.CRITICAL,
        f"{hit.object.name}: {describe_callers(hit.roles)} can listen to every change",
        f"{hit.object.name} is in the publication supabase_realtime and row level security is off, so Realtime "
        "sends every new, changed and deleted row to all who subscribe.",
        None if hit.facts["is_one_of_all"] else f"ALTER PUBLICATION supabase_realtime DROP TABLE {name};",
    )


RULE = Rule("publication_without_rls", "Realtime sends changes to strangers", _QUERY, _assess)
