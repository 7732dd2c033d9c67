"""Rows of an undo as people read them: the value now, and the restored one."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ValueSample:
    """Brief texts; None is null, and a side on which the row does not exist.

    The names are those of the rows that the values refer to.
    """

    column: str
    now: str | None
    restored: str | None
    now_name: str | None = None
    restored_name: str | None = None
    undone_by: UUID | None = None
    """The session that wrote the restored value, where that is undone."""


@dataclass(frozen=True, slots=True)
class RowSample:
    """`name` is the row's label, or its key where it has none. `more` columns are not shown.

    `derived` are the columns that triggers had set, `key` is shown beside the name.
    """

    name: str
    current_key: tuple[str, ...]
    action: Literal["insert", "update", "delete"]
    values: tuple[ValueSample, ...]
    more: int = 0
    derived: tuple[str, ...] = ()
    key: str = ""


@dataclass(frozen=True, slots=True)
class TableSample:
    """Rows of one table from number `start` on; the counts are those of the whole table."""

    schema: str
    table: str
    inserted: int
    changed: int
    deleted: int
    rows: tuple[RowSample, ...]
    start: int = 0
    undone: int = 0
    """Rows that would get values back of sessions that are undone."""


@dataclass(frozen=True, slots=True)
class SampleWindow:
    """Rows of one table, from number `start` on; without a table: conflicts."""

    schema: str
    table: str
    start: int

    @property
    def is_of_conflicts(self) -> bool:
        return not self.table
