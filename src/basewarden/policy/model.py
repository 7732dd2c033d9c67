"""What one caller may do, as one immutable value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from pgrest import ColumnName, ColumnRules, Name


class VisibleNames(NamedTuple):
    """The tables and functions that a caller may name, None is all, and rules about columns.

    Its requests are planned on these alone.
    """

    tables: frozenset[Name] | None
    functions: frozenset[Name] | None
    columns: frozenset[tuple[Name, ColumnRules]] = frozenset()


class WriteGuards(NamedTuple):
    """Writes whose success would tell something of a hidden column: to these columns, into and out of these tables.

    `unchangeable` are columns that only an update may not write.
    """

    unwritable: Mapping[Name, frozenset[str]]
    unchangeable: Mapping[Name, frozenset[str]]
    no_insert: frozenset[Name]
    no_delete: frozenset[Name]


@dataclass(frozen=True)
class Policy:
    """None is no limit of that kind.

    With `must_propose` what it may write waits for a person's approval. `read_only_tables` are those of `tables` that a
    caller who may write can only read. With a list of tables, no list of functions means no function; nor with
    `columns`, whose `guards` are known only on a snapshot.
    """

    can_write: bool
    tables: frozenset[Name] | None = None
    read_only_tables: frozenset[Name] = frozenset()
    functions: frozenset[Name] | None = None
    needs_filter: bool = False
    columns: Mapping[Name, ColumnRules] = field(default_factory=dict)
    guards: WriteGuards | None = None
    must_propose: bool = False
    closed: Mapping[Name, Sequence[ColumnName]] = field(default_factory=dict)
    """Tables that it may not write to after what it has read, each with what that was. Then no function may write."""

    @cached_property
    def names(self) -> VisibleNames | None:
        """None where every table and function may be named."""
        if self.tables is None and self.functions is None and not self.columns:
            return None
        functions = None if self._calls_all else self.functions or frozenset()
        return VisibleNames(self.tables, functions, frozenset(self.columns.items()))

    @property
    def _calls_all(self) -> bool:
        return self.functions is None and self.tables is None and not self.columns

    @cached_property
    def _written_anywhere(self) -> frozenset[str] | None:
        return None if self.tables is None else frozenset(name for _, name in self.tables - self.read_only_tables)

    def may_read(self, table: Name) -> bool:
        return self.tables is None or table in self.tables

    def may_change(self, table: Name) -> bool:
        return self.can_write and self.may_read(table) and table not in self.read_only_tables

    def may_call(self, function: Name) -> bool:
        return self._calls_all if self.functions is None else function in self.functions

    def may_change_in_some_schema(self, local: str) -> bool:
        """False where no table of this name may be changed, whatever its schema."""
        if not self.can_write:
            return False
        return self._written_anywhere is None or local in self._written_anywhere
