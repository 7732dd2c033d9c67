"""The guard's settings of one connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from basewarden.connections.models import ColumnMark, Connection, GuardMode, StrangerMode, TableMark, WriterMark

ReadColumn = tuple[str, str]
"""A table as `schema.table`, and one of its columns; an empty one for rows that strangers may have written."""


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """Marks of columns by table, and of tables, each as `schema.table`. `writers` are marks of who writes a table."""

    mode: GuardMode
    columns: Mapping[str, Mapping[str, ColumnMark]] = field(default_factory=dict)
    tables: Mapping[str, TableMark] = field(default_factory=dict)
    strangers: StrangerMode = StrangerMode.ALLOW
    writers: Mapping[str, WriterMark] = field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        """Whether writes are refused after sensitive reads."""
        return self.mode is GuardMode.BLOCK

    @property
    def holds(self) -> bool:
        """Whether writes are held after rows of strangers."""
        return self.strangers is StrangerMode.HOLD

    @property
    def has_tables(self) -> bool:
        """Whether some table is marked as read or written by strangers, and it matters."""
        is_public = self.blocks and TableMark.PUBLIC in self.tables.values()
        return is_public or (self.holds and WriterMark.STRANGERS in self.writers.values())

    def marks_table(self, table: str) -> bool:
        return table in self.tables or table in self.writers

    def list_columns(self, mark: ColumnMark) -> frozenset[ReadColumn]:
        return frozenset(
            (table, name) for table, marks in self.columns.items() for name in marks if marks[name] is mark
        )

    def list_tables(self, mark: TableMark) -> frozenset[str]:
        return frozenset(table for table, one in self.tables.items() if one is mark)

    def list_written(self, mark: WriterMark) -> frozenset[str]:
        return frozenset(table for table, one in self.writers.items() if one is mark)


GUARD_OFF = GuardOptions(GuardMode.OFF)


def read_guard(connection: Connection) -> GuardOptions:
    """Modes that this version does not know are as strict as can be."""
    return GuardOptions(
        GuardMode.OFF if connection.guard == GuardMode.OFF else GuardMode.BLOCK,
        {
            table: {name: ColumnMark(mark) for name, mark in marks.items()}
            for table, marks in connection.guard_columns.items()
        },
        {table: TableMark(mark) for table, mark in connection.guard_tables.items()},
        StrangerMode.ALLOW if connection.guard_strangers == StrangerMode.ALLOW else StrangerMode.HOLD,
        {table: WriterMark(mark) for table, mark in connection.guard_writers.items()},
    )


def is_weaker(before: GuardOptions, after: GuardOptions) -> bool:
    """Whether agents may write more after a change of the settings, which needs a fresh sign-in."""
    return (
        (before.blocks and not after.blocks)
        or (before.holds and not after.holds)
        or not before.list_columns(ColumnMark.SENSITIVE) <= after.list_columns(ColumnMark.SENSITIVE)
        or not after.list_columns(ColumnMark.NOT_SENSITIVE) <= before.list_columns(ColumnMark.NOT_SENSITIVE)
        or not before.list_tables(TableMark.PUBLIC) <= after.list_tables(TableMark.PUBLIC)
        or not after.list_tables(TableMark.NOT_PUBLIC) <= before.list_tables(TableMark.NOT_PUBLIC)
        or not before.list_written(WriterMark.STRANGERS) <= after.list_written(WriterMark.STRANGERS)
        or not after.list_written(WriterMark.TRUSTED) <= before.list_written(WriterMark.TRUSTED)
    )
