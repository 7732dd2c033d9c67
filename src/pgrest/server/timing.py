"""How long each part of an answer took, for the Server-Timing header."""

import time

_PARTS = ("jwt", "parse", "plan", "transaction", "response")


class Timing:
    """`mark` ends a part and begins the next."""

    __slots__ = ("_parts", "_since")

    def __init__(self) -> None:
        self._since = time.perf_counter()
        self._parts = dict.fromkeys(_PARTS, 0.0)

    def restart(self) -> None:
        self._since = time.perf_counter()

    def mark(self, part: str) -> None:
        now = time.perf_counter()
        self._parts[part] += now - self._since
        self._since = now

    def header(self) -> str:
        return ", ".join(f"{part};dur={seconds * 1000:.1f}" for part, seconds in self._parts.items())
