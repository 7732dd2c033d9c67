"""The settler: asks the project's database what became of each pending write."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from basewarden.core.tasks import end_task
from basewarden.db import Database
from basewarden.errors import AppError
from basewarden.journal import queries
from basewarden.journal.partitions import ensure_partitions
from basewarden.journal.queries import PendingWrite
from pgrest import DatabaseError, PgrestError

INTERVAL_SECONDS = 10.0
PARTITION_CHECK_EVERY = 360  # rounds, about an hour
_log = structlog.get_logger()

# 64-bit transaction ids of one connection -> "committed", "aborted", "in progress", or None (too old to know)
AskStatus = Callable[[UUID, Sequence[int]], Awaitable[Mapping[int, str | None]]]


class Settler:
    """Runs at start and on a timer; `settle` is also called before anyone looks at or undoes a session."""

    def __init__(self, database: Database, ask_status: AskStatus) -> None:
        self._database = database
        self._ask_status = ask_status
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="journal-settler")

    async def stop(self) -> None:
        if self._task is not None:
            await end_task(self._task)

    async def settle(self, connection_id: UUID) -> int:
        """How many writes of this connection are still pending afterwards."""
        remaining = 0
        after: UUID | None = None
        while True:
            async with self._database.read_only() as session:
                pending = await queries.list_pending_writes(session, connection_id, after=after)
            if not pending:
                return remaining
            after = pending[-1].id
            remaining += await self._settle_page(connection_id, pending)

    async def _settle_page(self, connection_id: UUID, pending: Sequence[PendingWrite]) -> int:
        # An intent has no transaction to ask about: it is under way, or whoever knew what became of it is gone.
        settled = {write.id: "unknown" for write in pending if write.xid is None and write.is_overdue}
        xids = [write.xid for write in pending if write.xid is not None]
        statuses = await self._ask_status(connection_id, xids) if xids else {}
        for write in pending:
            state = None if write.xid is None else settle_state(statuses.get(write.xid, "in progress"))
            if state is not None:
                settled[write.id] = state
        async with self._database.unit_of_work() as unit:
            await queries.settle_writes(unit, settled)
        return len(pending) - len(settled)

    async def settle_calmly(self, connection_id: UUID) -> int | None:
        """As `settle`, but a project database that is away leaves everything pending (None)."""
        try:
            return await self.settle(connection_id)
        except (AppError, PgrestError, DatabaseError) as error:
            _log.info("settler.project_away", connection=str(connection_id), reason=type(error).__name__)
            return None

    async def _run(self) -> None:
        rounds = 0
        while True:
            try:
                await self._settle_all()
                if rounds % PARTITION_CHECK_EVERY == 0:
                    async with self._database.unit_of_work() as unit:
                        await ensure_partitions(unit)
                rounds += 1
            except (SQLAlchemyError, OSError) as error:
                _log.warning("settler.failed", reason=type(error).__name__)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _settle_all(self) -> None:
        async with self._database.read_only() as session:
            connections = await queries.list_connections_with_pending(session)
        for connection_id in connections:
            await self.settle_calmly(connection_id)


def settle_state(status: str | None) -> str | None:
    """None while the transaction still runs; a status that is no longer known is never taken for success."""
    if status == "in progress":
        return None
    return status if status in ("committed", "aborted") else "unknown"
