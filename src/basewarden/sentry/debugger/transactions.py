"""The transaction of one trial, which is always rolled back: each step is tried from the same state."""

from collections.abc import Sequence
from typing import Final

from basewarden.sentry.scans.asking import limit_transaction
from pgrest import DatabaseError, DbConnection, Rows, Statement, quote_ident, roll_back

TRIAL_SECONDS: Final = 4.0
"""Of one statement."""
LOCK_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 5.0
_SAVE: Final = Statement("SAVEPOINT trial")
_BACK: Final = Statement("ROLLBACK TO SAVEPOINT trial")


class TrialTransaction:
    """`base` is the role of members' own requests; None is the login itself."""

    def __init__(self, connection: DbConnection, base: str | None) -> None:
        self._connection = connection
        self._base = base

    async def begin(self, *, is_read_only: bool) -> None:
        """Raises DatabaseError."""
        opening = [
            Statement("BEGIN READ ONLY" if is_read_only else "BEGIN"),
            limit_transaction(TRIAL_SECONDS, LOCK_SECONDS, _IDLE_SECONDS),
        ]
        if self._base is not None:
            opening.append(Statement(f"SET LOCAL ROLE {quote_ident(self._base)}"))
        await self._connection.run(opening)

    async def keep(self, statement: Statement) -> Rows | DatabaseError:
        """What it sets stays for the steps that follow."""
        try:
            _, rows = await self._connection.run([_SAVE, statement])
        except DatabaseError as error:
            await self._connection.run([_BACK])
            return error
        return rows

    async def attempt(self, statements: Sequence[Statement]) -> Rows | DatabaseError:
        """The last answer; whatever they did is taken back."""
        try:
            answers = await self._connection.run([_SAVE, *statements])
        except DatabaseError as error:
            await self._connection.run([_BACK])
            return error
        await self._connection.run([_BACK])
        return answers[-1]

    async def end(self) -> None:
        await self._connection.run(roll_back(self._connection))
