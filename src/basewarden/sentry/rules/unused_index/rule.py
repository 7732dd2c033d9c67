"""An index of some size that no query has used, though its table is read and the statistics are not new."""

from basewarden.sentry.fragments import RELATIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from pgrest import quote_ident

_SHORTEST_DAYS = 7
# Without a reset on record, the statistics are at least as old as the server's start.
_QUERY = f"""
WITH {RELATIONS}
SELECT 'table' AS type, r.schema, r.name, s.indexrelname::text AS column_name, NULL AS arguments,
  '{{}}'::text[] AS roles, json_build_object('bytes', pg_relation_size(i.indexrelid), 'days', (
    SELECT extract(epoch FROM now() - coalesce(d.stats_reset, pg_postmaster_start_time()))::bigint / 86400
    FROM pg_stat_database d WHERE d.datname = current_database())) AS facts
FROM pg_index i JOIN relations r ON r.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid JOIN pg_stat_all_tables t ON t.relid = i.indrelid
WHERE s.idx_scan = 0 AND x.relpages >= 128 AND NOT i.indisunique AND NOT i.indisreplident AND i.indisvalid
  AND coalesce(t.seq_scan, 0) + coalesce(t.idx_scan, 0) >= 100
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
"""


def _assess(hit: Hit) -> RuleVerdict | None:
    index, days, size = hit.object.column or "", hit.facts["days"], hit.facts["bytes"] >> 20
    if days < _SHORTEST_DAYS:
        return None
    return RuleVerdict(
        Severity.INFO,
        f"{hit.object.name}: no query has used the index {index}",
        f"No query has used it in the statistics at hand ({days:,} d), while each write to {hit.object.name} keeps "
        f"its {size:,} MB up to date. What replicas read is not counted here, nor what runs once a quarter.",
        f"DROP INDEX {quote_ident(hit.object.schema)}.{quote_ident(index)};",
    )


RULE = Rule("unused_index", "An index is never used", _QUERY, _assess)
