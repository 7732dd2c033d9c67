"""Errors of a project's database, as pages show them."""

import re

from basewarden.errors import AppError, Unavailable
from pgrest import PgrestError

_NO_RIGHT = "42501"
_SHOWS_ROW = re.compile(r"Failing row contains ")
"""A detail that has nothing but the values of the row, among them those of columns that a page does not show."""


class DataRefused(AppError):
    """An error message of the database; `sqlstate` is its code, or PostgREST's."""

    status = 422
    code = "data_refused"
    message = "The database refused this."

    def __init__(self, text: str, *, sqlstate: str, hint: str | None = None) -> None:
        super().__init__(text, hint=hint)
        self.sqlstate = sqlstate

    @property
    def lacks_rights(self) -> bool:
        return self.sqlstate == _NO_RIGHT


class DatabaseUnreachable(Unavailable):
    code = "database_unreachable"
    message = "The project's database is not responding."


def explain_error(error: PgrestError) -> AppError:
    if error.status in (503, 504):
        return DatabaseUnreachable(
            hint="It may be restarting, paused, or out of free connections. Nothing was changed. Try again in a moment."
        )
    text = f"{error.message[:1].upper()}{error.message[1:]}"
    details = error.details if isinstance(error.details, str) and not _SHOWS_ROW.match(error.details) else None
    return DataRefused(
        f"{text.rstrip('.')}." + (f" {details}" if details else ""),
        sqlstate=error.code,
        hint=error.hint if isinstance(error.hint, str) else None,
    )


def explain_unreachable(error: AppError) -> DatabaseUnreachable:
    return DatabaseUnreachable(error.text, hint=error.hint)
