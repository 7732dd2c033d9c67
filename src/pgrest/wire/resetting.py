"""Ends a transaction so that nothing of it reaches the next caller on the same connection.

A ROLLBACK takes back settings, roles, temporary tables, channels and cursors, but not session locks. Before a COMMIT
all of it is reset within the transaction itself: that costs no round trip, and it happens in the right session behind
a pooler. What was set when the connection was made stays: RESET restores it. Our own prepared statements stay
too, see `wire.py` for their names; what an untrusted procedural language keeps in its interpreter stays as well.
"""

from pgrest.sql.text import Statement
from pgrest.wire.connection import DbConnection

UNLOCK = Statement("SELECT pg_catalog.pg_advisory_unlock_all()")
MAY_UNLOCK = Statement("SELECT pg_catalog.has_function_privilege('pg_catalog.pg_advisory_unlock_all()', 'EXECUTE')")
_ROLLBACK = Statement("ROLLBACK")
_COMMIT = Statement("COMMIT")
_RESET = (
    Statement("SET SESSION AUTHORIZATION DEFAULT"),  # and the role
    Statement("RESET ALL"),
    Statement("CLOSE ALL"),
    Statement("UNLISTEN *"),
    Statement("DISCARD TEMP"),
    Statement("DISCARD SEQUENCES"),
)
# Prepared statements outlive a ROLLBACK, and a function may put one of its own under the name of one of ours.
_GUARD = Statement("SELECT 1", is_guard=True)
_ROLL_BACK = {False: (_ROLLBACK, _GUARD), True: (_ROLLBACK, _GUARD, UNLOCK)}
_COMMITTING = {False: (_GUARD, *_RESET, _COMMIT), True: (_GUARD, *_RESET, UNLOCK, _COMMIT)}


def roll_back(conn: DbConnection) -> tuple[Statement, ...]:
    """Also where the transaction has failed already."""
    return _ROLL_BACK[conn.may_unlock]


def reset_and_commit(conn: DbConnection) -> tuple[Statement, ...]:
    """The last one is the COMMIT. Should a reset fail, so does the transaction."""
    return _COMMITTING[conn.may_unlock]
