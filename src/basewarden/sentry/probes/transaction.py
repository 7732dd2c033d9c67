"""The transaction of the write probes of one table: it waits for no lock, is short, and is always rolled back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

from basewarden.sentry.scans.asking import limit_transaction
from pgrest import DatabaseError, DbConnection, Rows, Statement, roll_back

WRITE_SECONDS: Final = 2.0
"""Of one statement."""
_LIMITS: Final = limit_transaction(WRITE_SECONDS, lock=0.1, idle=5.0)
_SAVE: Final = Statement("SAVEPOINT probe")
_BACK: Final = (Statement("ROLLBACK TO SAVEPOINT probe"), Statement("RELEASE SAVEPOINT probe"))
_KEEP: Final = Statement("RELEASE SAVEPOINT probe")


class WriteTransaction:
    def __init__(self, connection: DbConnection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, connection: DbConnection) -> AsyncIterator[Self]:
        """Raises DatabaseError and PgrestError."""
        try:
            await connection.run([Statement("BEGIN"), _LIMITS])
            yield cls(connection)
        finally:
            if connection.is_usable:
                await connection.run(roll_back(connection))

    async def ask(self, seconds: float, statements: Sequence[Statement]) -> list[Rows]:
        """As `asking.ask` needs it; `seconds` are this transaction's own. Raises DatabaseError."""
        del seconds
        try:
            answers = await self._connection.run([_SAVE, *statements, *_BACK])
        except DatabaseError:
            await self._connection.run(_BACK)
            raise
        return answers[1 : len(statements) + 1]

    async def keep(self, statements: Sequence[Statement]) -> list[Rows] | DatabaseError:
        """What they do stays for the tries that follow."""
        try:
            answers = await self._connection.run([_SAVE, *statements, _KEEP])
        except DatabaseError as error:
            await self._connection.run(_BACK)
            return error
        return answers[1:-1]

    async def attempt(self, statements: Sequence[Statement]) -> Rows | DatabaseError:
        """The last answer; whatever they did is taken back."""
        try:
            return (await self.ask(WRITE_SECONDS, statements))[-1]
        except DatabaseError as error:
            return error
