"""Large values where libpq keeps them: while ten megabytes are copied in one piece, every other request waits."""

import ctypes
import sys
from typing import Any

from psycopg import pq

LARGE_BYTES = 262_144


def view_value(result: pq.abc.PGresult, row: int, column: int) -> bytes | memoryview | None:
    """As `get_value`, but a large value is a view, which keeps all of the result in memory as long as it is there."""
    if _library is None:
        return result.get_value(row, column)
    pointer = result.pgresult_ptr  # type: ignore[attr-defined]  # its protocol does not name it
    size = _library.PQgetlength(pointer, row, column)
    if size <= LARGE_BYTES:
        return result.get_value(row, column)
    kept = (ctypes.c_char * size).from_address(_library.PQgetvalue(pointer, row, column))
    kept.result = result
    return memoryview(kept).cast("B").toreadonly()


def _find_library() -> Any:
    """The libpq that psycopg uses; None where psycopg itself is written in Python."""
    if pq.__impl__ == "python":
        return None
    library = ctypes.CDLL(sys.modules[pq.PGconn.__module__].__file__)
    for function, answer in ((library.PQgetlength, ctypes.c_int), (library.PQgetvalue, ctypes.c_void_p)):
        function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int], answer
    return library


_library = _find_library()
