"""One transaction on a project's database that changes it, asks it what that did, and commits only at the end."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Self

import postgast

from basewarden.sentry.access.restoring import RestoreStep
from basewarden.sentry.scans.asking import Asked, limit_transaction
from pgrest import DatabaseError, DbConnection, PgrestError, Rows, Statement, quote_ident, reset_and_commit, roll_back

LOCK_SECONDS: Final = 2
STATEMENT_SECONDS: Final = 10
LONGEST_SECONDS: Final = 12.0
"""From the first change on: requests to a table that is changed wait so long."""
_IDLE_SECONDS: Final = 20
"""Should our process end with its machine, the table is not kept locked."""
_ASKED: Final = Statement("SAVEPOINT asked")
_BACK: Final = (Statement("ROLLBACK TO SAVEPOINT asked"), Statement("RELEASE SAVEPOINT asked"))
_TIMED_OUT: Final = "57014"


class ChangeTransaction:
    """Rules and probes take it for a connection: what they ask sees its changes, and leaves none."""

    def __init__(self, connection: DbConnection) -> None:
        self._connection = connection
        self._until: float | None = None
        self._is_open = False

    @classmethod
    @asynccontextmanager
    async def open(cls, connection: Asked) -> AsyncIterator[Self]:
        """Rolled back at the end unless it was committed. Raises DatabaseError and PgrestError."""
        assert isinstance(connection, DbConnection), "one transaction is not opened in another"
        transaction = cls(connection)
        try:
            await transaction._begin()
            yield transaction
        finally:
            await transaction._roll_back()

    async def _begin(self) -> None:
        self._is_open = True
        await self._connection.run([Statement("BEGIN"), _limit(STATEMENT_SECONDS)])

    async def _roll_back(self) -> None:
        if self._is_open and self._connection.is_usable:
            self._is_open = False
            await self._connection.run(roll_back(self._connection))

    @property
    def is_lost(self) -> bool:
        """Whether its connection has ended."""
        return not self._connection.is_usable

    def acquire(self) -> AbstractAsyncContextManager[Asked]:
        """As a pool lends a connection."""

        @asynccontextmanager
        async def lend() -> AsyncIterator[Asked]:
            yield self

        return lend()

    async def ask(self, seconds: float, statements: Sequence[Statement]) -> list[Rows]:
        """In a part of its own that is READ ONLY and rolled back."""
        seconds = min(seconds, self._find_left())
        opening = (_ASKED, limit_transaction(seconds, seconds, _IDLE_SECONDS, is_read_only=True))
        try:
            answers = await self._connection.run([*opening, *statements, *_BACK])
        except DatabaseError:
            await self._connection.run(_BACK)
            raise
        return answers[len(opening) : len(opening) + len(statements)]

    async def change(self, steps: Sequence[RestoreStep]) -> None:
        """Raises DatabaseError for the first that fails, and then the transaction is lost."""
        if self._until is None:
            self._until = time.monotonic() + LONGEST_SECONDS
        statements = [_limit(min(STATEMENT_SECONDS, self._find_left()))]
        for step in steps:
            become = [] if step.role is None else [Statement(f"SET LOCAL ROLE {quote_ident(step.role)}")]
            statements += [*become, Statement(step.sql), *([Statement("RESET ROLE")] if become else ())]
        await self._connection.run(statements)

    @asynccontextmanager
    async def trying(self) -> AsyncIterator[None]:
        """What is changed within is taken back at its end."""
        await self._connection.run([Statement("SAVEPOINT tried")])
        try:
            yield
        finally:
            if self._connection.is_usable:
                back = (Statement("ROLLBACK TO SAVEPOINT tried"), Statement("RELEASE SAVEPOINT tried"))
                await self._connection.run(back)

    async def read_id(self) -> int:
        """By which the database knows later what became of it."""
        (rows,) = await self._connection.run([Statement("SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text")])
        return int(rows.rows[0][0] or b"0")

    async def commit(self) -> None:
        """Raises DatabaseError where it was refused; after a PgrestError it is not known."""
        try:
            await self._connection.run(reset_and_commit(self._connection))
        finally:
            self._is_open = not self._connection.is_between_transactions

    def _find_left(self) -> float:
        if self._until is None:
            return STATEMENT_SECONDS
        left = self._until - time.monotonic()
        if left <= 0:
            raise PgrestError(504, _TIMED_OUT, "The change and what it was tried with took too long")
        return left


def split_script(sql: str) -> list[RestoreStep]:
    """The statements of a fix. Raises PgQueryError for what is no SQL."""
    return [RestoreStep(one) for one in postgast.split(sql)]


def _limit(seconds: float) -> Statement:
    return limit_transaction(seconds, LOCK_SECONDS, _IDLE_SECONDS)
