"""Asks a project's database something in a transaction of its own that is READ ONLY, short and always rolled back."""

from collections.abc import Sequence
from typing import Final, Protocol

from pgrest import DbConnection, Rows, Statement, roll_back

LOCK_SECONDS: Final = 0.5
"""To read the text of a view locks its tables until the transaction ends. While that waited for one of them, a change
of another would wait for it, and all other requests to that table behind the change."""
_PATH: Final = b"pg_catalog, pg_temp"
"""So that no temporary table is taken for one of the catalog."""
PLAIN_SETTINGS: Final = (
    "pg_catalog.set_config('row_security', 'on', true), pg_catalog.set_config('quote_all_identifiers', 'off', true),"
    " pg_catalog.set_config('standard_conforming_strings', 'on', true), pg_catalog.set_config('jit', 'off', true)"
)
"""Whatever the database or the login sets: where policies raise an error instead of hiding rows, all seems denied."""


def limit_transaction(statement: float, lock: float, idle: float, *, is_read_only: bool = False) -> Statement:
    """Settings of the transaction that is open: times in seconds, the catalog's `search_path`, and the plain settings.

    `idle`: should our process end with its machine, the database ends the transaction by itself.
    """
    sql = (
        "SELECT pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('lock_timeout', $2, true),"
        f" pg_catalog.set_config('search_path', $3, true), {PLAIN_SETTINGS},"
        " pg_catalog.set_config('idle_in_transaction_session_timeout', $4, true)"
    )
    if is_read_only:
        sql += ", pg_catalog.set_config('transaction_read_only', 'on', true)"
    statement_ms, lock_ms, idle_ms = (b"%d" % max(1, round(seconds * 1000)) for seconds in (statement, lock, idle))
    return Statement(sql, (statement_ms, lock_ms, _PATH, idle_ms))


class OpenTransaction(Protocol):
    """A transaction with changes of its own, which what is asked sees, and which is not rolled back by it."""

    async def ask(self, seconds: float, statements: Sequence[Statement]) -> list[Rows]: ...


Asked = DbConnection | OpenTransaction


async def ask(connection: Asked, seconds: float, statements: Sequence[Statement]) -> list[Rows]:
    """The answers of `statements`, which see `search_path = pg_catalog`. Raises DatabaseError.

    A statement that takes longer than `seconds` fails, and so does one that waits for a lock. None is
    compiled (jit), which would take longer than to run it.
    """
    if not isinstance(connection, DbConnection):
        return await connection.ask(seconds, statements)
    opening = (
        Statement("BEGIN READ ONLY"),
        Statement(
            "SELECT pg_catalog.set_config('statement_timeout', $1, true),"
            " pg_catalog.set_config('lock_timeout', $2, true),"
            f" pg_catalog.set_config('search_path', $3, true), {PLAIN_SETTINGS}",
            (*(b"%d" % round(one * 1000) for one in (seconds, min(seconds, LOCK_SECONDS))), _PATH),
        ),
    )
    answers = await connection.run([*opening, *statements, *roll_back(connection)])
    return answers[len(opening) : len(opening) + len(statements)]
