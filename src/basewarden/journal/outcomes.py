"""Queues the outcomes of intents until they are stored: no other process knows them."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from basewarden.journal import statements
from basewarden.journal.notices import ChangeNotices
from basewarden.journal.values import IntentOutcome
from basewarden.policy import settle_use
from pgrest import DatabaseError, DbConnection, Statement

MAX_TRIES = 20
REJECTED_ERRORS = (DatabaseError, ValueError)
"""PostgreSQL rejected the values, or a text cannot be encoded as UTF-8."""
_log = structlog.get_logger()


@dataclass(slots=True)
class _QueuedOutcome:
    outcome: IntentOutcome
    stored: "asyncio.Future[bool]"
    tries: int = 0

    def resolve(self, stored: bool) -> None:  # noqa: FBT001 - private
        if not self.stored.done():
            self.stored.set_result(stored)


_OutcomesByWrite = dict[UUID, _QueuedOutcome]


class OutcomeQueue:
    """Outcomes by the id of their write; true while any is queued."""

    def __init__(self, notices: ChangeNotices) -> None:
        self._queued: _OutcomesByWrite = {}
        self._notices = notices

    def __bool__(self) -> bool:
        return bool(self._queued)

    def add(self, outcome: IntentOutcome) -> "asyncio.Future[bool]":
        queued = _QueuedOutcome(outcome, asyncio.get_running_loop().create_future())
        self._queued[outcome.recorded.write_id] = queued
        return queued.stored

    async def store(self, connection: DbConnection) -> None:
        """Stores all queued outcomes. Raises when our database fails; then all of them stay queued."""
        waiting = list(self._queued.values())
        if not waiting:
            return
        try:
            await _store(connection, [queued.outcome for queued in waiting])
        except REJECTED_ERRORS:
            await _roll_back(connection)
            for queued in waiting:  # one of them was rejected; the others can still be stored
                await self._store_alone(connection, queued)
        else:
            for queued in waiting:
                self._remove(queued, stored=True)

    async def _store_alone(self, connection: DbConnection, queued: _QueuedOutcome) -> None:
        try:
            await _store(connection, [queued.outcome])
        except REJECTED_ERRORS as error:
            await _roll_back(connection)
            queued.tries += 1
            if queued.tries >= MAX_TRIES:
                _log.error("journal.outcome_rejected", reason=type(error).__name__)
                self._remove(queued, stored=False)
        else:
            self._remove(queued, stored=True)

    def _remove(self, queued: _QueuedOutcome, *, stored: bool) -> None:
        self._queued.pop(queued.outcome.recorded.write_id, None)
        if stored:
            self._notices.add([queued.outcome.connection_id])
        queued.resolve(stored)


async def _store(connection: DbConnection, outcomes: Sequence[IntentOutcome]) -> None:
    await connection.run([Statement("BEGIN")])
    placed = [(outcome, await _reserve_extra_positions(connection, outcome)) for outcome in outcomes]
    stored, *_ = await connection.run(statements.store_outcomes(placed))
    await connection.run([*_settle(outcomes, statements.read_finished(stored)), Statement("COMMIT")])


def _settle(outcomes: Sequence[IntentOutcome], finished: Collection[UUID]) -> list[Statement]:
    """Corrects what was counted, once for a write: an outcome is stored again where the answer to COMMIT was lost."""
    return [
        settle_use(outcome.recorded.counted, outcome.rows)
        for outcome in outcomes
        if outcome.recorded.write_id in finished and outcome.recorded.counted is not None and outcome.rows is not None
    ]


async def _reserve_extra_positions(connection: DbConnection, outcome: IntentOutcome) -> int:
    """Reserves positions for changes beyond those the intent reserved; returns the position before the first."""
    more = len(outcome.changes or ()) - outcome.recorded.positions
    if more <= 0:
        return 0
    (rows,) = await connection.run([statements.reserve_positions(outcome.recorded.session_id, more)])
    return int(rows.rows[0][0] or 0) if rows.rows else 0


async def _roll_back(connection: DbConnection) -> None:
    if not connection.is_usable:
        raise ConnectionError("the connection to our own database was lost")
    await connection.run([Statement("ROLLBACK")])
