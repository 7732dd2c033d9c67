"""Libpq's steps of a connect, in threads: the server decides how long one takes.

It names the number of rounds in which the password is hashed (SCRAM), up to two thousand million: half an hour in which
libpq can neither be asked nor stopped, and psycopg's own call keeps the interpreter's lock. So each step is a call of
its own in a thread, without the lock; one that takes too long is left to end by itself, after everything else.
"""

import asyncio
import contextlib
import ctypes
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable

import psycopg
from psycopg import pq

MOST_LEFT = 64
"""Steps that may be left to themselves at a time, of one server a single one; until then nothing more is connected."""
_LOWEST_PRIORITY = 19
_NO_ATEXIT = 0x00080000


def _find_poll() -> Callable[[pq.abc.PGconn], int]:
    """PQconnectPoll of the libpq that psycopg uses."""
    if pq.__impl__ == "python":
        return lambda pg: pg.connect_poll()
    library = ctypes.CDLL(sys.modules[pq.PGconn.__module__].__file__)
    _keep_until_the_end(library)
    function = library.PQconnectPoll
    function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_int
    return lambda pg: int(function(pg.pgconn_ptr))  # type: ignore[attr-defined]  # its protocol does not name it


def _keep_until_the_end(library: ctypes.CDLL) -> None:
    """A step may outlast the process's last breath: OpenSSL must not take its tables away from under it."""
    with contextlib.suppress(AttributeError):  # another OpenSSL, or none
        library.OPENSSL_init_crypto(ctypes.c_uint64(_NO_ATEXIT), None)


_connect_poll = _find_poll()
_left: Counter[str] = Counter()


class Polling:
    """One attempt to connect to `server`, which is what a step that was left counts for."""

    def __init__(self, pg: pq.abc.PGconn, server: str) -> None:
        if _left[server] or _left.total() >= MOST_LEFT:
            pg.finish()
            raise psycopg.errors.ConnectionTimeout("connection timeout expired")
        self._pg = pg
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._thread: threading.Thread | None = None
        self._is_running = self._has_ended = False

    async def step(self) -> pq.PollingStatus:
        """As libpq's connect_poll. Cancelled, the connection is libpq's alone until `end` has its way."""
        answer: asyncio.Future[int] = self._loop.create_future()
        self._is_running = True
        self._thread = threading.Thread(target=self._run, args=(answer,), name="connect", daemon=True)
        self._thread.start()
        return pq.PollingStatus(await answer)

    def end(self) -> None:
        """Closes the connection, as soon as libpq lets go of it."""
        self._has_ended = True
        if not self._is_running:
            self._pg.finish()
            return
        _left[self._server] += 1
        _give_way(self._thread)

    def _run(self, answer: asyncio.Future[int]) -> None:
        status = _connect_poll(self._pg)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, answer, status)

    def _note(self, answer: asyncio.Future[int], status: int) -> None:
        self._is_running = False
        if self._has_ended:
            _left[self._server] -= 1
            self._pg.finish()
        elif not answer.done():
            answer.set_result(status)


def _give_way(thread: threading.Thread | None) -> None:
    """Linux gives each thread a priority of its own; elsewhere that would be the whole process's."""
    if sys.platform == "linux" and thread is not None and thread.native_id is not None:
        with contextlib.suppress(OSError):  # it has just ended
            os.setpriority(os.PRIO_PROCESS, thread.native_id, _LOWEST_PRIORITY)
