"""Whether anything was put off to the COMMIT, where nobody counts it.

`SET CONSTRAINTS ALL IMMEDIATE` runs what was deferred. But a trigger that runs then may defer once more, and what it
causes would run at COMMIT: after the counts, past the limit, and before PostgreSQL 18 as the connection's own role.
Causing a trigger to run takes a change of a table, so the same statement once more must change nothing at all.
"""

from collections.abc import Sequence

from basewarden.gateway.direct.stat_counters import OWN_NAMES
from pgrest import FIRST_OWN_OID, Rows, Statement

FINISH = Statement("SET CONSTRAINTS ALL IMMEDIATE")
"""What would run at COMMIT runs now: before images are read and before anything is journaled."""
# Temporary tables, too: they may have such triggers. The blocks tell of a table that was emptied in between.
_ACTIVITY = Statement(
    f"""
    SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', c.oid, c.relfilenode,
        pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid), pg_catalog.pg_stat_get_xact_tuples_updated(c.oid),
        pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid), pg_catalog.pg_stat_get_xact_blocks_fetched(c.oid)),
      ',' ORDER BY c.oid))
    FROM pg_catalog.pg_class AS c WHERE c.relkind = 'r' AND c.oid >= {FIRST_OWN_OID}
    """
)


def deferred_check(finishing: Sequence[Statement]) -> list[Statement]:
    """`finishing` is FINISH, and what makes its role before it."""
    return [OWN_NAMES, _ACTIVITY, *finishing, OWN_NAMES, _ACTIVITY]


def is_nothing_deferred(answers: Sequence[Rows]) -> bool:
    """By the answers to `deferred_check`."""
    return answers[1].rows == answers[-1].rows
