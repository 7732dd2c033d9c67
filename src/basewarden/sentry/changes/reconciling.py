"""Finds out what became of changes whose process ended before it could store that."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from basewarden.db import Database
from basewarden.errors import AppError
from basewarden.gateway import CHANGE, Projects
from basewarden.jobs import Jobs
from basewarden.sentry.access.state import decode_states
from basewarden.sentry.changes.failures import explain_failure
from basewarden.sentry.changes.outcomes import abandon_change, finish_change
from basewarden.sentry.changes.putting import compare, read_access
from basewarden.sentry.changes.queries import list_running, list_running_connections
from basewarden.sentry.errors import ChangeRunning
from basewarden.sentry.models import ChangeStatus, SentryChange
from pgrest import DatabaseError, PgrestError

_RECONCILE: Final = "sentry_changes"
_LOST_AFTER: Final = timedelta(minutes=1)
_IN_PROGRESS: Final = "in progress"
_log = structlog.get_logger()


class ChangeReconciler:
    """Asks the project's database by the id of the change's transaction."""

    def __init__(self, database: Database, jobs: Jobs, projects: Projects) -> None:
        self._database = database
        self._projects = projects
        jobs.register_periodic(_RECONCILE, "* * * * *", self._reconcile_lost)

    async def reconcile(self, connection_id: UUID) -> bool:
        """Finds out what became of changes whose outcome is not stored. False where one is still running."""
        async with self._database.read_only() as session:
            running = await list_running(session, connection_id)
        return all([await self._reconcile_one(one) for one in running])

    async def _reconcile_one(self, change: SentryChange) -> bool:
        found = await self._projects.query_transaction_status(change.connection_id, [change.xid])
        status = found[change.xid]
        if status == _IN_PROGRESS:
            return False
        if status is None:  # too long ago, or the database was restored: the catalog has to say
            status = "committed" if await self._is_as_wanted(change) else "aborted"
        if status == "committed":
            await finish_change(self._database, change.id)
        else:
            await abandon_change(self._database, change.id)
        return True

    async def _is_as_wanted(self, change: SentryChange) -> bool:
        wanted = decode_states(change.after if change.status == ChangeStatus.APPLYING else change.before)
        project = await self._projects.get_direct(change.connection_id)
        async with project.pool.acquire(CHANGE) as connection:
            found = await read_access(connection, [state.key for state in wanted])
        return not any(compare(state, found.get(state.key)) for state in wanted)

    async def try_reconcile(self, connection_id: UUID) -> None:
        """For those who only look: a project that does not answer keeps no page from being shown."""
        try:
            await self.reconcile(connection_id)
        except (AppError, DatabaseError, PgrestError) as error:
            _log.warning("sentry.unreconciled", connection=str(connection_id), reason=type(error).__name__)

    async def require_none(self, connection_id: UUID) -> None:
        """Raises ChangeRunning."""
        try:
            is_free = await self.reconcile(connection_id)
        except (DatabaseError, PgrestError) as error:
            raise explain_failure(error, "") from error
        if not is_free:
            raise ChangeRunning

    async def _reconcile_lost(self) -> None:
        async with self._database.read_only() as session:
            waiting = await list_running_connections(session, _LOST_AFTER)
        for connection_id in waiting:
            await self.try_reconcile(connection_id)
