"""Reads a table's policies, and lets people try what a caller could do, under the rules of their own requests."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog

from basewarden.accounts import Attempt, Attempts, Limit
from basewarden.connections import ConnectionTargets, Membership
from basewarden.db import note_waiting
from basewarden.errors import AppError, Unavailable
from basewarden.gateway import SCAN, Projects, make_member_caller
from basewarden.sentry.debugger.errors import TrialFailed
from basewarden.sentry.debugger.facts import DebuggedTable, ListedTable, list_tables, load_table
from basewarden.sentry.debugger.requests import TrialCommand, TrialWish, check_wish
from basewarden.sentry.debugger.results import TrialResult
from basewarden.sentry.debugger.trial import Trial
from pgrest import DatabaseError, PgrestError

HOURLY_TRIALS: Final = Limit(600, 60 * 60)
"""Of a member on a connection."""
_ADVICE = "You have tried very often in the last hour. Wait some minutes and try again."
_NOT_ALLOWED: Final = "42501"
_log = structlog.get_logger()


class PolicyDebugger:
    def __init__(self, projects: Projects, targets: ConnectionTargets, attempts: Attempts) -> None:
        self._projects = projects
        self._targets = targets
        self._attempts = attempts

    async def list_tables(self, connection_id: UUID, text: str = "") -> Sequence[ListedTable]:
        """Raises AppErrors where the database cannot be asked."""
        note_waiting("a project's database")
        project = await self._projects.get_direct(connection_id)
        try:
            async with project.pool.acquire(SCAN) as connection:
                return await list_tables(connection, text)
        except (DatabaseError, PgrestError) as error:
            raise explain_failure(error) from error

    async def read_table(self, connection_id: UUID, schema: str, name: str) -> DebuggedTable:
        """Raises NotFound, and other AppErrors where the database cannot be asked."""
        note_waiting("a project's database")
        target = await self._targets.get_target(connection_id)
        project = await self._projects.get_direct(connection_id)
        try:
            async with project.pool.acquire(SCAN) as connection:
                return await load_table(connection, schema, name, target.db_role)
        except (DatabaseError, PgrestError) as error:
            raise explain_failure(error) from error

    async def try_as(self, member: Membership, table: DebuggedTable, wish: TrialWish) -> TrialResult:
        """Changes nothing that a ROLLBACK takes back. Raises Invalid, TooMany, and AppErrors of the database."""
        request = check_wish(table, wish)
        who = f"{member.connection.id}:{member.person.id}"
        await self._attempts.acquire(Attempt("sentry.trial", who, HOURLY_TRIALS, _ADVICE))
        note_waiting("a project's database")
        target = await self._targets.get_target(member.connection.id)
        caller = make_member_caller(member.person.id, member.person.name, member.role, target)
        project = await self._projects.get_direct(member.connection.id)
        try:
            async with project.acquire(caller, writes=request.command is not TrialCommand.SELECT) as connection:
                result = await Trial(connection, request, target.db_role).run()
        except (DatabaseError, PgrestError) as error:
            raise explain_failure(error) from error
        self._log_end(member, result)
        return result

    def _log_end(self, member: Membership, result: TrialResult) -> None:
        """Neither claims nor a row."""
        _log.info(
            "sentry.tried",
            connection=str(member.connection.id),
            person=str(member.person.id),
            command=result.request.command.value,
            role=result.request.role.name,
            outcome=result.outcome.value,
        )


def explain_failure(error: DatabaseError | PgrestError) -> AppError:
    if isinstance(error, PgrestError):
        return Unavailable("The project's database is not responding.", hint=error.message)
    if error.sqlstate == _NOT_ALLOWED:
        return TrialFailed(f"The login may not do what a trial needs: {error.message}.")
    return TrialFailed(f"The database refused: {error.message}.")
