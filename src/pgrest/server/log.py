"""PostgREST's two logs: a line for each request on standard output, what the server does on standard error.

Neither holds a token: what looks like one, or is the value of a parameter that carries one, is left out.
"""

import contextlib
import re
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

from pgrest.settings import LogLevel

_RANKS: Mapping[LogLevel, int] = {"crit": 0, "error": 1, "warn": 2, "info": 3, "debug": 4}
_LEAST_STATUS: Mapping[LogLevel, int] = {"crit": 1000, "error": 500, "warn": 400, "info": 0, "debug": 0}
_TOKEN = re.compile(r"eyJ[\w-]{5,}\.[\w-]*(?:\.[\w-]*)?")
_TOKEN_PARAMETER = re.compile(r"(?i)\b((?:api_?key|access_token|refresh_token|jwt)=)[^& ]+")
_UNPRINTABLE = re.compile(r'[^\x20-\x7e]|["\\]')
_HIDDEN = "***"


class Log:
    def __init__(self, level: LogLevel, *, requests: TextIO | None = None, events: TextIO | None = None) -> None:
        self._rank = _RANKS[level]
        self._least_status = _LEAST_STATUS[level]
        self._requests = requests or sys.stdout
        self._events = events or sys.stderr
        self._stamp = (0, "")

    def shows_status(self, status: int) -> bool:
        return status >= self._least_status

    def shows(self, level: LogLevel) -> bool:
        return self._rank >= _RANKS[level]

    def write(self, text: str, *, level: LogLevel = "crit") -> None:
        """Writes one line, where the log's level is at least `level`."""
        if self.shows(level):
            _write(self._events, f"{self._now()}: {' '.join(text.split())}\n")

    def log_failure(self, error: BaseException) -> None:
        """Logs where an unexpected error was raised, but not its message, which may quote a value."""
        frames = "".join(traceback.format_tb(error.__traceback__))
        _write(self._events, f"{self._now()}: Unexpected failure\n{frames}{type(error).__qualname__}\n")

    def log_request(self, scope: Any, headers: Mapping[bytes, bytes], status: int, role: str | None, size: str) -> None:
        """Writes an Apache line; `size` is `-` where the length is not known."""
        query = scope["query_string"]
        target = scope.get("raw_path", b"/") + (b"?" + query if query else b"")
        who = "-" if role is None else _clean(role)
        referer, agent = headers.get(b"referer", b""), headers.get(b"user-agent", b"")
        line = (
            f"{_address(scope)} - {who} [{self._now()}] "
            f'"{scope["method"]} {_clean(target)} HTTP/{scope.get("http_version", "1.1")}" {status} {size} '
            f'"{_clean(referer)}" "{_clean(agent)}"\n'
        )
        _write(self._requests, line)

    def _now(self) -> str:
        second = int(time.time())
        if self._stamp[0] != second:
            self._stamp = (second, time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(second)))
        return self._stamp[1]


def _write(stream: TextIO, line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a reader that went away ends no request
        stream.write(line)
        stream.flush()


def _address(scope: Any) -> str:
    client = scope.get("client")
    return client[0] if client else "unix"


def _clean(text: bytes | str) -> str:
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    shown = _TOKEN_PARAMETER.sub(rf"\1{_HIDDEN}", _TOKEN.sub(_HIDDEN, plain))
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", shown)
