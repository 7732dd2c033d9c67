"""What a project's database refused, without values of rows: messages about data quote them."""

from typing import Final

from pgrest import DatabaseError

_WITHOUT_VALUES: Final = ("08", "0A", "23", "25", "40", "42", "53", "54", "55", "57", "58")
"""Classes of errors whose messages name objects and limits. What functions of the project raise says anything."""
_RAISED_BY: Final = frozenset({"exec_stmt_raise", "PLy_output", "do_util_elog", "pltcl_elog", "rethrow"})
"""Where PL/pgSQL, PL/Python, PL/Perl, PL/Tcl and PLV8 raise for a function, which chooses the code, too."""


def hide_values(error: DatabaseError, *also: str) -> str:
    """The database's message, or "" where it may quote a value; `also` are codes of functions that may be shown."""
    if not also and error.fields.place in _RAISED_BY:
        return ""
    return error.message if error.sqlstate.startswith((*_WITHOUT_VALUES, *also)) else ""
