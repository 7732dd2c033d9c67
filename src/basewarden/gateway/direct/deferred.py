"""Finds out whether triggers deferred anything to the COMMIT, where it would not be counted.

`SET CONSTRAINTS ALL IMMEDIATE` runs what was deferred. But a trigger that runs then may defer once more, and what it
causes would run at COMMIT: after the counts, past the limit, and before PostgreSQL 18 as the connection's own role.
Causing a trigger to run takes a change of a table, so the same statement once more must change nothing at all.
"""

from collections.abc import Mapping, Sequence

from basewarden.gateway.direct.stat_counters import OWN_NAMES
from pgrest import FIRST_OWN_OID, Pipeline, Rows, Statement

FINISH = Statement("SET CONSTRAINTS ALL IMMEDIATE")
"""What would run at COMMIT runs now: before images are read and before anything is journaled."""
# Temporary tables too: they may have such triggers. The blocks show that a table was emptied in between.
_ACTIVITY = Statement(
    f"""
    SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', c.oid, c.relfilenode,
        pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid), pg_catalog.pg_stat_get_xact_tuples_updated(c.oid),
        pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid), pg_catalog.pg_stat_get_xact_blocks_fetched(c.oid)),
      ',' ORDER BY c.oid))
    FROM pg_catalog.pg_class AS c WHERE c.relkind = 'r' AND c.oid >= {FIRST_OWN_OID}
    """
)


def add_deferred_check(pipeline: Pipeline, finishing: Sequence[Statement]) -> None:
    """`finishing` is FINISH, after what sets the role that it runs as."""
    pipeline.then(OWN_NAMES).named("activity before", _ACTIVITY)
    pipeline.then(*finishing, OWN_NAMES).named("activity after", _ACTIVITY)


def is_nothing_deferred(answers: Mapping[str, Rows]) -> bool:
    """`answers` are those of a pipeline with the check in it."""
    return answers["activity before"].rows == answers["activity after"].rows
