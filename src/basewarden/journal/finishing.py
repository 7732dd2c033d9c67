"""What became of intents, on its way into the journal: kept until it is stored, for nobody else knows it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from basewarden.journal import statements
from basewarden.journal.values import Finish
from pgrest import DatabaseError, DbConnection, Statement

MOST_TRIES = 20
_MISFITS = (DatabaseError, ValueError)
_log = structlog.get_logger()


@dataclass(slots=True)
class _Kept:
    finish: Finish
    stored: "asyncio.Future[bool]"
    tries: int = 0

    def resolve(self, stored: bool) -> None:  # noqa: FBT001 - private
        if not self.stored.done():
            self.stored.set_result(stored)


_Waiting = dict[UUID, _Kept]


class Finishing:
    """Truthy while something waits."""

    def __init__(self) -> None:
        self._kept: _Waiting = {}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, finish: Finish) -> "asyncio.Future[bool]":
        kept = _Kept(finish, asyncio.get_running_loop().create_future())
        self._kept[finish.recorded.write_id] = kept
        return kept.stored

    async def store(self, connection: DbConnection) -> None:
        """Everything that waits. Raises when our database is gone; then all of it waits on."""
        waiting = list(self._kept.values())
        if not waiting:
            return
        try:
            await _store(connection, [kept.finish for kept in waiting])
        except _MISFITS:
            await _roll_back(connection)
            for kept in waiting:  # one of them does not fit; the others must not suffer for it
                await self._store_alone(connection, kept)
        else:
            for kept in waiting:
                self._let_go(kept, stored=True)

    async def _store_alone(self, connection: DbConnection, kept: _Kept) -> None:
        try:
            await _store(connection, [kept.finish])
        except _MISFITS as error:
            await _roll_back(connection)
            kept.tries += 1
            if kept.tries >= MOST_TRIES:
                _log.error("journal.finish_refused", reason=type(error).__name__)
                self._let_go(kept, stored=False)
        else:
            self._let_go(kept, stored=True)

    def _let_go(self, kept: _Kept, *, stored: bool) -> None:
        self._kept.pop(kept.finish.recorded.write_id, None)
        kept.resolve(stored)


async def _store(connection: DbConnection, finishes: Sequence[Finish]) -> None:
    await connection.run([Statement("BEGIN")])
    placed = [(finish, await _find_more_room(connection, finish)) for finish in finishes]
    await connection.run([*statements.finish_writes(placed), Statement("COMMIT")])


async def _find_more_room(connection: DbConnection, finish: Finish) -> int:
    """The place before the first change that its intent had not foreseen."""
    more = len(finish.changes or ()) - finish.recorded.positions
    if more <= 0:
        return 0
    (rows,) = await connection.run([statements.take_positions(finish.recorded.session_id, more)])
    return int(rows.rows[0][0] or 0) if rows.rows else 0


async def _roll_back(connection: DbConnection) -> None:
    if not connection.is_usable:
        raise ConnectionError("the connection to our own database was lost")
    await connection.run([Statement("ROLLBACK")])
