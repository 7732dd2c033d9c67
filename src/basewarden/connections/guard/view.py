"""The guard's tables as its pages show them: what was found, and what the owner marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from basewarden.connections.guard.findings import GuardedTable
from basewarden.connections.guard.values import GuardOptions
from basewarden.connections.models import ColumnMark

_MOST_NAMED: Final = 4
_READERS: Final = {
    "anon": "anyone",
    "anyone": "anyone",
    "authenticated": "people who sign in",
    "public": "every database role",
}


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """`mark` is the owner's, or "". Without one, `is_sensitive` is what the guard found; `was_found` is always that."""

    name: str
    is_sensitive: bool
    mark: str
    was_found: bool


@dataclass(frozen=True, slots=True)
class ShownTable:
    """`name` is as `schema.table`, `short_name` without `public`. Marks are the owner's, or "".

    `columns` begin with the sensitive ones; of a table that the project does not list, they are those with marks.
    """

    name: str
    short_name: str
    columns: Sequence[ShownColumn]
    readers: str
    reader_mark: str
    written: Sequence[str]
    writer_mark: str
    is_listed: bool

    @property
    def query(self) -> str:
        return f"name={quote(self.name, safe='')}"

    @property
    def shown_columns(self) -> Sequence[ShownColumn]:
        return [one for one in self.columns if one.is_sensitive or one.mark]

    @property
    def is_exposed(self) -> bool:
        """True where strangers read a column that is sensitive: the first to look at."""
        is_read = self.reader_mark == "public" or (not self.reader_mark and "anyone" in self.readers)
        return is_read and any(one.is_sensitive and one.mark != "not_sensitive" for one in self.columns)

    @property
    def matters(self) -> bool:
        return bool(self.shown_columns or self.readers or self.written or self.reader_mark or self.writer_mark)

    @property
    def written_words(self) -> str:
        """Returns "in code, title and 5 more", or ""."""
        names, more = self.written[:_MOST_NAMED], len(self.written) - _MOST_NAMED
        return f"in {', '.join(names)}{f' and {more} more' if more > 0 else ''}" if names else ""


def show_tables(found: Sequence[GuardedTable] | None, guard: GuardOptions) -> list[ShownTable]:
    """With marked tables that the project does not list: it was not reached, or they are gone."""
    listed = {one.name: one for one in found or ()}
    marked = {*guard.columns, *guard.tables, *guard.writers} - listed.keys()
    return [
        *(show_table(one, guard, is_listed=True) for one in listed.values()),
        *(show_table(GuardedTable(name, (), ()), guard, is_listed=False) for name in sorted(marked)),
    ]


def show_table(found: GuardedTable, guard: GuardOptions, *, is_listed: bool) -> ShownTable:
    marks = guard.columns.get(found.name, {})
    names = dict.fromkeys((*found.names, *found.columns, *marks))
    columns = [
        ShownColumn(
            name,
            name in found.columns or marks.get(name) is ColumnMark.SENSITIVE,
            marks.get(name, ""),
            name in found.named or (name in found.columns and name not in marks),
        )
        for name in names
    ]
    return ShownTable(
        name=found.name,
        short_name=found.name.removeprefix("public."),
        columns=sorted(columns, key=lambda one: not (one.is_sensitive or one.mark)),
        readers=_name_readers(found.readers),
        reader_mark=guard.tables.get(found.name, ""),
        written=found.by_strangers,
        writer_mark=guard.writers.get(found.name, ""),
        is_listed=is_listed,
    )


def _name_readers(roles: Sequence[str]) -> str:
    """Who signs in is one of anyone."""
    names = list(dict.fromkeys(_READERS.get(role, role) for role in roles))
    return ", ".join(["anyone"] if "anyone" in names else names)
