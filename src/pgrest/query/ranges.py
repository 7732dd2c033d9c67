"""Which rows of a result are asked for, by limit and offset or by the Range header."""

import re
from dataclasses import dataclass

_HEADER = re.compile(r"([0-9]+)-([0-9]*)")
_INTEGER = re.compile(r"-?[0-9]+")
_MOST_DIGITS = 1000  # what is more than PostgreSQL's bigint is refused by PostgreSQL


@dataclass(frozen=True, slots=True)
class Range:
    """Rows `lower` to `upper`, both included; no upper means all the rest."""

    lower: int = 0
    upper: int | None = None

    @property
    def limit(self) -> int | None:
        return None if self.upper is None else self.upper - self.lower + 1

    @property
    def is_empty(self) -> bool:
        return self.upper is not None and self.upper < self.lower

    @property
    def is_zero(self) -> bool:
        """`limit=0` from the start: no rows on purpose. Behind an offset PostgREST takes it for a mistake."""
        return self.upper == -1

    def intersect(self, other: "Range") -> "Range":
        uppers = [upper for upper in (self.upper, other.upper) if upper is not None]
        return Range(max(self.lower, other.lower), min(uppers, default=None))

    def restrict(self, most_rows: int | None) -> "Range":
        if self.is_zero:
            return NO_ROWS
        return self if most_rows is None else self.intersect(Range(self.lower, self.lower + most_rows - 1))


ALL_ROWS = Range()
NO_ROWS = Range(0, -1)


def read_integer(text: str) -> int | None:
    digits = text.strip()
    return int(digits) if len(digits) <= _MOST_DIGITS and _INTEGER.fullmatch(digits) else None


def range_of(limit: str | None, offset: str | None) -> Range:
    """A limit or an offset that is no number asks for nothing, but a limit beside an offset then is zero."""
    lower = read_integer(offset or "") or 0
    size = read_integer(limit or "")
    if size is None and limit is not None and offset is not None:
        size = 0
    return Range(lower, None if size is None else lower + size - 1)


def parse_range_header(text: str | None) -> Range:
    found = _HEADER.fullmatch(text or "")
    if found is None or len(found[0]) > _MOST_DIGITS:
        return ALL_ROWS
    return Range(int(found[1]), int(found[2]) if found[2] else None)
