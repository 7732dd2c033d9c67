"""Writes of an undo run under the login's own search path, everything that is asked beside them under ours."""

from collections.abc import Sequence

from basewarden.gateway.direct.row_images import WITH_SESSION_PATH
from basewarden.gateway.direct.stat_counters import OWN_NAMES
from pgrest import DbConnection, Rows, Statement


async def run_writes(connection: DbConnection, statements: Sequence[Statement]) -> list[Rows]:
    """In a transaction that is under AS_OWNER: triggers and defaults may count on the login's search path."""
    answers = await connection.run([WITH_SESSION_PATH, *statements, OWN_NAMES])
    return answers[1:-1]
