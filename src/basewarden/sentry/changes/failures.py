"""What a project's database refused, as what the request is refused with."""

from typing import Final

from basewarden.errors import AppError, Unavailable
from basewarden.sentry.errors import ChangeFailed, LoginMayNot, ObjectLocked
from pgrest import DatabaseError, PgrestError

_NOT_ALLOWED: Final = "42501"
_WAITED: Final = frozenset({"55P03", "40P01"})
_TIMED_OUT: Final = "57014"
_MEANWHILE: Final = "tuple concurrently"


def explain_failure(error: DatabaseError | PgrestError, sql: str) -> AppError:
    if isinstance(error, PgrestError):
        return Unavailable(f"The project's database did not answer: {_end(error.message)}")
    if error.sqlstate == _NOT_ALLOWED:
        return LoginMayNot([f"The database says: {_end(error.message)}"], sql)
    if error.sqlstate in _WAITED or error.message.startswith(_MEANWHILE):
        return ObjectLocked()
    if error.sqlstate == _TIMED_OUT:
        return ChangeFailed("The change took too long and was stopped. Nothing was changed; try again at a quiet time.")
    return ChangeFailed(f"{ChangeFailed.message} It says: {_end(error.message)}")


def _end(message: str) -> str:
    return message if message.endswith(".") else f"{message}."
