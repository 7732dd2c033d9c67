"""Finds the outcome of pending writes by asking the project's database for the status of their transactions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from basewarden.core.tasks import end_task
from basewarden.db import Database, notify
from basewarden.errors import AppError
from basewarden.journal import queries
from basewarden.journal.notices import LIVE_TOPIC
from basewarden.journal.partitions import ensure_partitions
from basewarden.journal.queries import PendingWrite
from pgrest import DatabaseError, PgrestError

INTERVAL_SECONDS = 10.0
PARTITION_CHECK_EVERY = 360  # rounds, about an hour
_log = structlog.get_logger()

# 64-bit transaction ids of one connection -> "committed", "aborted", "in progress", or None (too old to know)
QueryStatus = Callable[[UUID, Sequence[int]], Awaitable[Mapping[int, str | None]]]


class Reconciler:
    """Reconciles all connections at start and on a timer, and one before its sessions are read or undone."""

    def __init__(self, database: Database, query_transaction_status: QueryStatus) -> None:
        self._database = database
        self._query_status = query_transaction_status
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="journal-reconciler")

    async def stop(self) -> None:
        if self._task is not None:
            await end_task(self._task)

    async def reconcile(self, connection_id: UUID) -> int:
        """Reconciles one connection; returns how many of its writes are still pending.

        A page that is not full is the last one: under load there is always a next write, which settles by itself.
        """
        remaining = 0
        pending: Sequence[PendingWrite] = ()
        while True:
            after = pending[-1].id if pending else None
            async with self._database.read_only() as session:
                pending = await queries.list_pending_writes(session, connection_id, after=after)
            if pending:
                remaining += await self._reconcile_page(connection_id, pending)
            if len(pending) < queries.PENDING_PER_PAGE:
                return remaining

    async def _reconcile_page(self, connection_id: UUID, pending: Sequence[PendingWrite]) -> int:
        # An intent has no transaction: an overdue one was lost with the process that sent it.
        settled = {write.id: "unknown" for write in pending if write.xid is None and write.is_overdue}
        xids = [write.xid for write in pending if write.xid is not None]
        statuses = await self._query_status(connection_id, xids) if xids else {}
        for write in pending:
            state = None if write.xid is None else resolve_state(statuses.get(write.xid, "in progress"))
            if state is not None:
                settled[write.id] = state
        async with self._database.unit_of_work() as unit:
            await queries.set_write_states(unit, settled)
            if settled:
                await notify(unit, LIVE_TOPIC, str(connection_id))
        return len(pending) - len(settled)

    async def try_reconcile(self, connection_id: UUID) -> int | None:
        """Like `reconcile`, but returns None when the project's database is unavailable; all writes stay pending."""
        try:
            return await self.reconcile(connection_id)
        except (AppError, PgrestError, DatabaseError) as error:
            _log.info("reconciler.project_unavailable", connection=str(connection_id), reason=type(error).__name__)
            return None

    async def _run(self) -> None:
        rounds = 0
        while True:
            try:
                await self._reconcile_all()
                if rounds % PARTITION_CHECK_EVERY == 0:
                    async with self._database.unit_of_work() as unit:
                        await ensure_partitions(unit)
                rounds += 1
            except (AppError, SQLAlchemyError, OSError) as error:
                _log.warning("reconciler.failed", reason=type(error).__name__)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _reconcile_all(self) -> None:
        async with self._database.read_only() as session:
            connections = await queries.list_connections_with_pending(session)
        for connection_id in connections:
            await self.try_reconcile(connection_id)


def resolve_state(status: str | None) -> str | None:
    """Maps a transaction status to a write's state; None while it runs. A lost status is unknown, never a success."""
    if status == "in progress":
        return None
    return status if status in ("committed", "aborted") else "unknown"
