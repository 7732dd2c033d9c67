"""Which rows of a result are asked for, by limit and offset or by the Range header."""

import re
from dataclasses import dataclass

_HEADER = re.compile(r"([0-9]+)-([0-9]*)")
_INTEGER = re.compile(r"-?[0-9]+")
_MOST_DIGITS = 30


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
        """`limit=0`: no rows on purpose."""
        return self.upper == self.lower - 1

    def intersect(self, other: "Range") -> "Range":
        uppers = [upper for upper in (self.upper, other.upper) if upper is not None]
        return Range(max(self.lower, other.lower), min(uppers, default=None))

    def restrict(self, most_rows: int | None) -> "Range":
        if most_rows is None or self.is_zero:
            return self
        return self.intersect(Range(self.lower, self.lower + most_rows - 1))


ALL_ROWS = Range()


def read_integer(text: str) -> int | None:
    return int(text) if len(text) <= _MOST_DIGITS and _INTEGER.fullmatch(text) else None


def range_of(limit: str | None, offset: str | None) -> Range:
    """A limit or an offset that is no number asks for nothing, as in PostgREST."""
    lower = read_integer(offset or "") or 0
    size = read_integer(limit or "")
    return Range(lower, None if size is None else lower + size - 1)


def parse_range_header(text: str | None) -> Range:
    found = _HEADER.fullmatch(text or "")
    if found is None or len(found[0]) > _MOST_DIGITS:
        return ALL_ROWS
    return Range(int(found[1]), int(found[2]) if found[2] else None)
