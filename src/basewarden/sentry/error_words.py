"""What a project's database refused, without values of rows: messages about data quote them."""

from typing import Final

from pgrest import DatabaseError

_WITHOUT_VALUES: Final = ("08", "0A", "23", "25", "40", "42", "53", "54", "55", "57", "58")
"""Classes of errors whose messages name objects and limits. What functions of the project raise says anything."""


def hide_values(error: DatabaseError, *also: str) -> str:
    """The database's message, or "" where it may quote a value; `also` are further codes that may be shown."""
    return error.message if error.sqlstate.startswith((*_WITHOUT_VALUES, *also)) else ""
