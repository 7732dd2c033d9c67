"""The guard's settings of one connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from basewarden.connections.models import ColumnMark, Connection, GuardMode, TableMark

ReadColumn = tuple[str, str]
"""A table as `schema.table`, and one of its columns."""


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """Marks of columns by table, and of tables, each as `schema.table`."""

    mode: GuardMode
    columns: Mapping[str, Mapping[str, ColumnMark]] = field(default_factory=dict)
    tables: Mapping[str, TableMark] = field(default_factory=dict)

    @property
    def is_on(self) -> bool:
        return self.mode is GuardMode.BLOCK

    @property
    def has_public_tables(self) -> bool:
        return TableMark.PUBLIC in self.tables.values()

    def list_columns(self, mark: ColumnMark) -> frozenset[ReadColumn]:
        return frozenset(
            (table, name) for table, marks in self.columns.items() for name in marks if marks[name] is mark
        )

    def list_tables(self, mark: TableMark) -> frozenset[str]:
        return frozenset(table for table, one in self.tables.items() if one is mark)


GUARD_OFF = GuardOptions(GuardMode.OFF)


def read_guard(connection: Connection) -> GuardOptions:
    """A mode that this version does not know is as strict as can be."""
    return GuardOptions(
        GuardMode.OFF if connection.guard == GuardMode.OFF else GuardMode.BLOCK,
        {
            table: {name: ColumnMark(mark) for name, mark in marks.items()}
            for table, marks in connection.guard_columns.items()
        },
        {table: TableMark(mark) for table, mark in connection.guard_tables.items()},
    )


def is_weaker(before: GuardOptions, after: GuardOptions) -> bool:
    """Whether agents may write more after a change of the settings, which needs a fresh sign-in."""
    return (
        (before.is_on and not after.is_on)
        or not before.list_columns(ColumnMark.SENSITIVE) <= after.list_columns(ColumnMark.SENSITIVE)
        or not after.list_columns(ColumnMark.NOT_SENSITIVE) <= before.list_columns(ColumnMark.NOT_SENSITIVE)
        or not before.list_tables(TableMark.PUBLIC) <= after.list_tables(TableMark.PUBLIC)
        or not after.list_tables(TableMark.NOT_PUBLIC) <= before.list_tables(TableMark.NOT_PUBLIC)
    )
