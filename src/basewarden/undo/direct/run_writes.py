"""Runs the writes of an undo under the login's own search path; all other statements run under ours."""

from collections.abc import Sequence

from basewarden.gateway.direct import OWN_NAMES, WITH_SESSION_PATH
from pgrest import DbConnection, Rows, Statement


async def run_writes(connection: DbConnection, statements: Sequence[Statement]) -> list[Rows]:
    """For a transaction under AS_OWNER: triggers and defaults may depend on the login's search path."""
    answers = await connection.run([WITH_SESSION_PATH, *statements, OWN_NAMES])
    return answers[1:-1]
