"""Matches rows before a write with rows after it by what did not change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from basewarden.journal import Image
from pgrest import Table


class HasImage(Protocol):
    @property
    def image(self) -> Image: ...


B = TypeVar("B", bound=HasImage)
A = TypeVar("A", bound=HasImage)


@dataclass(frozen=True, slots=True)
class RowMatching(Generic[B, A]):
    """Rows before with what they are now; rows before that were not found after; rows after without one before."""

    pairs: list[tuple[B, A]]
    missed: list[B]
    unmatched: list[A]


def stable_columns(table: Table, changed: frozenset[str]) -> tuple[str, ...]:
    """The columns of the key (or of a row without one) that the write does not change."""
    return tuple(column for column in table.key or table.columns if column not in changed)


def match_by_columns(before: Sequence[B], after: Sequence[A], columns: tuple[str, ...]) -> RowMatching[B, A]:
    """By the text of `columns`; of several rows with the same text, in order."""
    waiting: dict[tuple[str, ...], list[A]] = {}
    for row in after:
        waiting.setdefault(row.image.key(columns), []).append(row)
    matching: RowMatching[B, A] = RowMatching([], [], [])
    for old in before:
        same = waiting.get(old.image.key(columns))
        if same:
            matching.pairs.append((old, same.pop(0)))
        else:
            matching.missed.append(old)
    matching.unmatched.extend(row for rest in waiting.values() for row in rest)
    return matching
