"""The conflicts that a person settles by restoring a row over its newer values. Pure.

The id of a conflict names the row and the values that restoring it overwrites, so a choice holds only as long as the
row is as the person saw it.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from basewarden.errors import Invalid

MOST_CHOICES = 2_000
_TOO_MANY = f"One undo can restore at most {MOST_CHOICES:,} rows over newer values. Choose fewer, then undo again."
_ROW_BYTES, _STATE_BYTES = 9, 15


@dataclass(frozen=True)
class Choices:
    """`restored` are the ids of the conflicts whose newer values are overwritten; all others keep theirs."""

    restored: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.restored)

    @cached_property
    def _rows(self) -> frozenset[str]:
        return frozenset(map(_read_row, self.restored))

    def includes(self, conflict_id: str) -> bool:
        return conflict_id in self.restored

    def is_outdated(self, conflict_id: str) -> bool:
        """Whether the row was chosen when it had other values."""
        return conflict_id not in self.restored and _read_row(conflict_id) in self._rows


NO_CHOICES = Choices()


def make_choices(choices: Mapping[str, str]) -> Choices:
    """`choices` are `keep` or `restore`, by the ids of conflicts. Raises Invalid where too many are restored."""
    restored = frozenset(name for name, choice in choices.items() if choice == "restore")
    if len(restored) > MOST_CHOICES:
        raise Invalid(_TOO_MANY, details=[{"field": "choices", "message": _TOO_MANY}])
    return Choices(restored)


def choose_first(conflict_ids: Iterable[str | None]) -> Choices:
    """Restores all of these conflicts, or the first where there are more than one undo may restore."""
    offered = (conflict_id for conflict_id in conflict_ids if conflict_id is not None)
    return Choices(frozenset(islice(offered, MOST_CHOICES)))


def make_conflict_id(row: Iterable[object], state: Iterable[object]) -> str:
    """`row` identifies the row, `state` is what restoring it overwrites and with what."""
    place = repr(tuple(row))
    return f"{_hash(place, _ROW_BYTES)}.{_hash(place + repr(tuple(state)), _STATE_BYTES)}"


def _read_row(conflict_id: str) -> str:
    return conflict_id.partition(".")[0]


def _hash(text: str, size: int) -> str:
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=size).digest()
    return urlsafe_b64encode(digest).decode()
