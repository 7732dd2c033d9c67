"""Counts refusals in memory and stores them once a second, so that a refused request costs no write."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from basewarden.core.tasks import end_task
from basewarden.db import Database, notify
from basewarden.errors import AppError
from basewarden.journal.notices import LIVE_TOPIC, make_notices
from basewarden.journal.refusals import queries
from basewarden.journal.refusals.values import Refusal, RefusalCount, RefusalKind

STORE_EVERY_SECONDS = 1.0
STOP_SECONDS = 5.0
MAX_QUEUED_KINDS = 1000
"""Kinds of refusals in memory; beyond that, refusals are counted without their details."""
MAX_KINDS_AN_HOUR = 100
"""Rows per agent and hour; further kinds share one row per code."""
_log = structlog.get_logger()


class RefusalLog:
    """`add` never waits; `flush` returns once all added refusals are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queued: dict[tuple[RefusalKind, datetime], RefusalCount] = {}
        self._refusal_added = asyncio.Event()
        self._store_lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="journal-refusals")

    async def stop(self) -> None:
        """Stores what is queued, unless our database is unavailable."""
        if self._task is not None:
            await end_task(self._task)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.flush()
        except (AppError, SQLAlchemyError, TimeoutError) as error:
            _log.warning("refusals.lost", reason=type(error).__name__, kinds=len(self._queued))

    def add(self, refusal: Refusal) -> None:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        if (refusal.kind, hour) not in self._queued and len(self._queued) >= MAX_QUEUED_KINDS:
            refusal = refusal.without_details()
        self._merge(RefusalCount(refusal, hour))
        self._refusal_added.set()

    async def flush(self) -> None:
        """Stores what is queued; keeps it when that fails with AppError or SQLAlchemyError, which are raised."""
        async with self._store_lock:
            taken, self._queued = self._queued, {}
            try:
                await self._store(list(taken.values()))
            except (AppError, SQLAlchemyError):
                for counted in taken.values():
                    self._merge(counted)
                raise

    def _merge(self, counted: RefusalCount) -> None:
        known = self._queued.setdefault((counted.refusal.kind, counted.hour), counted)
        if known is not counted:
            known.refusal = counted.refusal
            known.count += counted.count

    async def _run(self) -> None:
        while True:
            await self._refusal_added.wait()
            self._refusal_added.clear()
            await asyncio.sleep(STORE_EVERY_SECONDS)
            try:
                await self.flush()
            except (AppError, SQLAlchemyError) as error:
                _log.warning("refusals.not_stored", reason=type(error).__name__)
                self._refusal_added.set()

    async def _store(self, taken: Sequence[RefusalCount]) -> None:
        if not taken:
            return
        async with self._database.unit_of_work() as unit:
            agents = {counted.refusal.agent_id for counted in taken}
            known = await queries.list_kind_keys(unit, agents, {counted.hour for counted in taken})
            for counted in sorted(
                _limit_kinds(taken, known), key=_lock_order
            ):  # one order of locks, so that processes never deadlock
                await queries.add_refusals(unit, counted)
            for notice in make_notices({counted.refusal.connection_id for counted in taken}):
                await notify(unit, LIVE_TOPIC, notice)


def _limit_kinds(taken: Sequence[RefusalCount], known: dict[tuple[UUID, datetime], set[str]]) -> list[RefusalCount]:
    """Merges the kinds beyond an agent's limit for the hour into one kind per code."""
    bounded: dict[tuple[RefusalKind, datetime], RefusalCount] = {}
    for counted in taken:
        keys = known.setdefault((counted.refusal.agent_id, counted.hour), set())
        if counted.refusal.kind.key not in keys and len(keys) >= MAX_KINDS_AN_HOUR:
            counted = RefusalCount(counted.refusal.without_details(), counted.hour, counted.count)  # noqa: PLW2901 - bounded
        keys.add(counted.refusal.kind.key)
        same = bounded.setdefault((counted.refusal.kind, counted.hour), counted)
        if same is not counted:
            same.count += counted.count
    return list(bounded.values())


def _lock_order(counted: RefusalCount) -> tuple[str, datetime, str]:
    return str(counted.refusal.agent_id), counted.hour, counted.refusal.kind.key
