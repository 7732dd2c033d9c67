"""The conflicts that a person settles by restoring a row over its newer values. Pure.

The id of a conflict names the row and the values that restoring it overwrites, so a choice holds only as long as the
row is as the person saw it.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

MOST_CHOICES = 2_000
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
    """`choices` are `keep` or `restore`, by the ids of conflicts."""
    return Choices(frozenset(name for name, choice in choices.items() if choice == "restore"))


def make_conflict_id(row: Iterable[object], state: Iterable[object]) -> str:
    """`row` identifies the row, `state` is what restoring it overwrites and with what."""
    place = repr(tuple(row))
    return f"{_hash(place, _ROW_BYTES)}.{_hash(place + repr(tuple(state)), _STATE_BYTES)}"


def _read_row(conflict_id: str) -> str:
    return conflict_id.partition(".")[0]


def _hash(text: str, size: int) -> str:
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=size).digest()
    return urlsafe_b64encode(digest).decode()
