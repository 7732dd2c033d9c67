"""Keeps refusals: counted in memory, stored once a second, so that refusing stays as cheap as it was."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from basewarden.core.tasks import end_task
from basewarden.db import Database
from basewarden.errors import AppError
from basewarden.journal.refusals import queries
from basewarden.journal.refusals.values import Refusal, RefusalKind, Repeats

STORE_EVERY_SECONDS = 1.0
STOP_SECONDS = 5.0
MAX_WAITING = 1000
"""Kinds of refusals in memory; what does not fit is counted without its details."""
MAX_KINDS_AN_HOUR = 100
"""Rows of one agent and hour; further kinds share one row for each code."""
_log = structlog.get_logger()


class RefusalBook:
    """`note` never waits; `flush` returns once all that was noted is stored."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[tuple[RefusalKind, datetime], Repeats] = {}
        self._has_some = asyncio.Event()
        self._storing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="journal-refusals")

    async def stop(self) -> None:
        """Stores what is left, unless our database is away."""
        if self._task is not None:
            await end_task(self._task)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.flush()
        except (AppError, SQLAlchemyError, TimeoutError) as error:
            _log.warning("refusals.lost", reason=type(error).__name__, kinds=len(self._waiting))

    def note(self, refusal: Refusal) -> None:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        if (refusal.kind, hour) not in self._waiting and len(self._waiting) >= MAX_WAITING:
            refusal = refusal.without_details()
        self._add(Repeats(refusal, hour))
        self._has_some.set()

    async def flush(self) -> None:
        """What cannot be stored is kept for the next time. Raises AppError or SQLAlchemyError."""
        async with self._storing:
            taken, self._waiting = self._waiting, {}
            try:
                await self._store(list(taken.values()))
            except (AppError, SQLAlchemyError):
                for repeats in taken.values():
                    self._add(repeats)
                raise

    def _add(self, repeats: Repeats) -> None:
        known = self._waiting.setdefault((repeats.refusal.kind, repeats.hour), repeats)
        if known is not repeats:
            known.refusal = repeats.refusal
            known.count += repeats.count

    async def _run(self) -> None:
        while True:
            await self._has_some.wait()
            self._has_some.clear()
            await asyncio.sleep(STORE_EVERY_SECONDS)
            try:
                await self.flush()
            except (AppError, SQLAlchemyError) as error:
                _log.warning("refusals.not_stored", reason=type(error).__name__)
                self._has_some.set()

    async def _store(self, taken: Sequence[Repeats]) -> None:
        if not taken:
            return
        async with self._database.unit_of_work() as unit:
            agents = {repeats.refusal.agent_id for repeats in taken}
            known = await queries.list_kind_keys(unit, agents, {repeats.hour for repeats in taken})
            for repeats in sorted(_bound(taken, known), key=_order):  # so that two processes never wait in a circle
                await queries.add_refusals(unit, repeats)


def _bound(taken: Sequence[Repeats], known: dict[tuple[UUID, datetime], set[str]]) -> list[Repeats]:
    """The same, with what goes beyond an agent's kinds of the hour brought together."""
    bounded: dict[tuple[RefusalKind, datetime], Repeats] = {}
    for repeats in taken:
        keys = known.setdefault((repeats.refusal.agent_id, repeats.hour), set())
        if repeats.refusal.kind.key not in keys and len(keys) >= MAX_KINDS_AN_HOUR:
            repeats = Repeats(repeats.refusal.without_details(), repeats.hour, repeats.count)  # noqa: PLW2901 - bounded
        keys.add(repeats.refusal.kind.key)
        same = bounded.setdefault((repeats.refusal.kind, repeats.hour), repeats)
        if same is not repeats:
            same.count += repeats.count
    return list(bounded.values())


def _order(repeats: Repeats) -> tuple[str, datetime, str]:
    return str(repeats.refusal.agent_id), repeats.hour, repeats.refusal.kind.key
