"""Several serving processes on the same sockets, and one that watches over them and serves nothing."""

import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable

from pgrest.server.process import GAVE_UP, GRACE_SECONDS, INTERRUPTED, STOPPED

_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)
_SOON_SECONDS = 1.0
"""A worker that ends sooner than this after its start is started again only when the time is over."""
_KILL_AFTER_SECONDS = GRACE_SECONDS + 5

Serve = Callable[[int, int], int]
"""(number of the worker, its lifeline) -> exit code"""


class Supervisor:
    """One worker that dies is started again; one that gives up ends all."""

    def __init__(self, workers: int, serve: Serve) -> None:
        self._serve = serve
        self._due = dict.fromkeys(range(workers), 0.0)
        """number of a worker -> when to start it"""
        self._running: dict[int, tuple[int, float]] = {}
        """process -> (number of the worker, when it started)"""
        self._deadline: float | None = None
        self._exit_code = STOPPED
        self._lifeline, self._keep_open = os.pipe()
        self._signals, self._wakeup_socket = socket.socketpair()

    def run(self) -> int:
        """Blocks until the last worker has ended."""
        self._wakeup_socket.settimeout(0)
        signal.set_wakeup_fd(self._wakeup_socket.fileno())
        for number in _HEARD:
            signal.signal(number, lambda *_: None)
        while self._running or self._due:
            self._start_due()
            self._take_signals()
            self._kill_late()
        return self._exit_code

    def _start_due(self) -> None:
        now = time.monotonic()
        for worker, due in list(self._due.items()):
            if due <= now:
                del self._due[worker]
                self._running[self._fork(worker)] = (worker, now)

    def _fork(self, worker: int) -> int:
        """What is signalled meanwhile waits until the child has its own handlers, or none."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        pid = os.fork()
        if pid == 0:
            code = GAVE_UP
            try:
                self._forget_parent()
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                code = self._serve(worker, self._lifeline)
            finally:
                traceback.print_exception(sys.exception())
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pid

    def _forget_parent(self) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._keep_open)
        self._signals.close()
        self._wakeup_socket.close()
        for number in _HEARD:
            reloads = number in (signal.SIGUSR1, signal.SIGUSR2)
            signal.signal(number, signal.SIG_IGN if reloads else signal.SIG_DFL)

    def _take_signals(self) -> None:
        times = [*self._due.values(), *([] if self._deadline is None else [self._deadline])]
        timeout = max(0.01, min(times) - time.monotonic()) if times else None
        if not select.select([self._signals], [], [], timeout)[0]:
            return
        for number in self._signals.recv(1000):
            self._take_signal(number)

    def _take_signal(self, number: int) -> None:
        match number:
            case signal.SIGCHLD:
                self._reap()
            case signal.SIGTERM:
                self._stop(STOPPED)
            case signal.SIGINT:
                self._stop(INTERRUPTED)
            case _:
                self._send(number)

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in self._running:
                self._note_end(*self._running.pop(pid), os.waitstatus_to_exitcode(status))

    def _note_end(self, worker: int, started: float, code: int) -> None:
        if self._deadline is not None:
            return
        if code == GAVE_UP:
            self._stop(GAVE_UP)
        else:
            self._due[worker] = started + _SOON_SECONDS

    def _stop(self, code: int) -> None:
        self._exit_code = self._exit_code or code
        self._deadline = self._deadline or time.monotonic() + _KILL_AFTER_SECONDS
        self._due.clear()
        self._send(signal.SIGTERM)

    def _kill_late(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        for pid in self._running:
            os.kill(pid, number)
