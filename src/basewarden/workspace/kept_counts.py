"""Keeps how many rows tables have, for the list of tables beside the grid."""

from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from pgrest import Name

_MOST_READERS = 500


@dataclass(frozen=True, slots=True)
class Counted:
    rows: int
    is_estimate: bool

    @property
    def text(self) -> str:
        """The number, rounded where it is an estimate: "7,410", "about 120k"."""
        if not self.is_estimate:
            return f"{self.rows:,}"
        if self.rows < 1000:
            return f"about {self.rows}"
        unit, sign = (1_000_000, "m") if self.rows >= 999_500 else (1000, "k")
        shown = self.rows / unit
        return f"about {shown:.0f}{sign}" if shown >= 10 else f"about {f'{shown:.1f}'.removesuffix('.0')}{sign}"


@dataclass(frozen=True, slots=True)
class KeptCount:
    """`counted` is None where the table cannot be read or is a view; `at` is when, on the monotonic clock."""

    counted: Counted | None
    at: float


TableCounts = dict[Name, KeptCount]


class KeptCounts:
    """The latest counts by connection and person, since two people may see different rows of a table."""

    def __init__(self) -> None:
        self._by_reader: OrderedDict[tuple[UUID, UUID], TableCounts] = OrderedDict()

    def find(self, connection_id: UUID, person_id: UUID) -> TableCounts:
        found = self._by_reader.setdefault((connection_id, person_id), {})
        self._by_reader.move_to_end((connection_id, person_id))
        while len(self._by_reader) > _MOST_READERS:
            self._by_reader.popitem(last=False)
        return found
