"""The position of a stream: what it has delivered, as a snapshot of PostgreSQL's transactions.

Neither ids nor times are in the order of commits, so a stream that continued after the last one would miss what another
process committed later with an earlier one. A snapshot says exactly which transactions were visible.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

MAX_POSITION_LENGTH: Final = 8192
_MAX_RUNNING = 200
"""Beyond this many running transactions, a snapshot claims less than it shows: a stream may repeat, but never miss."""
_MAX_ID = 2**63 - 1
_SNAPSHOT = r"\d{1,11}-\d{1,19}(?:\.\d{1,19}){0,200}"
_POSITION = re.compile(rf"({_SNAPSHOT})(?:~({_SNAPSHOT})~([prsw][0-9a-f-]{{36}}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class JournalSnapshot:
    """All transactions below `xmax` are visible in it, except for those that were `running`. `at` is in seconds."""

    at: int
    xmax: int
    running: tuple[int, ...] = ()

    @classmethod
    def from_postgres(cls, at: int, text: str) -> Self:
        """Reads `xmin:xmax:xip_list`, PostgreSQL's text of a snapshot."""
        xmin, xmax, listed = text.split(":")
        running = tuple(int(one) for one in listed.split(",") if one)
        return cls(at, int(xmin)) if len(running) > _MAX_RUNNING else cls(at, int(xmax), running)

    @property
    def floor(self) -> int:
        """All transactions below it are visible."""
        return min(self.running, default=self.xmax)

    def shows_the_same(self, other: "JournalSnapshot") -> bool:
        """Whether no transaction has ended between the two."""
        return (self.xmax, self.running) == (other.xmax, other.running)

    def encode(self) -> str:
        return f"{self.at}-{self.xmax}" + "".join(f".{self.xmax - one}" for one in self.running)


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """Everything visible in `since` is delivered; of what became visible in `until`, the events up to `key`."""

    since: JournalSnapshot
    until: JournalSnapshot | None = None
    key: str = ""

    def encode(self) -> str:
        if self.until is None:
            return self.since.encode()
        return f"{self.since.encode()}~{self.until.encode()}~{self.key}"


def parse_position(text: str) -> StreamPosition | None:
    """Reads the id of an event; None for anything that is not one."""
    found = _POSITION.fullmatch(text) if len(text) <= MAX_POSITION_LENGTH else None
    if found is None:
        return None
    first, second, key = found.groups()
    since, until = _parse_snapshot(first), _parse_snapshot(second) if second else None
    if since is None or (second and until is None):
        return None
    return StreamPosition(since, until, key or "")


def _parse_snapshot(text: str) -> JournalSnapshot | None:
    at, _, ids = text.partition("-")
    xmax, *below = (int(one) for one in ids.split("."))
    running = tuple(xmax - one for one in below)
    is_valid = xmax <= _MAX_ID and all(0 < one < xmax for one in running)
    return JournalSnapshot(int(at), xmax, running) if is_valid else None
