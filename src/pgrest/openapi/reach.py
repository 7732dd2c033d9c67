"""What a host lets its caller see and do, whatever the role may in the database."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import get_args

from pgrest.config import Name
from pgrest.schema.model import Function, Schema, Table, TableKind
from pgrest.schema.narrowing import hide_columns

ALL_KINDS: frozenset[TableKind] = frozenset(get_args(TableKind))
# As the server spells a type that is not its own: with its schema, quoted where it must, brackets after it.
_SPELLED = re.compile(r'(?P<schema>"(?:[^"]|"")+"|[^".]+)\.(?P<name>"(?:[^"]|"")+"|[^".\[(]+)(?P<brackets>(?:\[\])*)')


@dataclass(frozen=True, slots=True)
class Reach:
    """None = all of them. Functions by object id.

    `written` are the kinds of table that may be written, `read_only` the tables of these kinds that may not. `denied`
    are the columns of a table that are left out.
    """

    tables: AbstractSet[Name] | None = None
    functions: AbstractSet[int] | None = None
    written: AbstractSet[TableKind] = ALL_KINDS
    calls_volatile: bool = True
    read_only: AbstractSet[Name] = frozenset()
    denied: Mapping[Name, AbstractSet[str]] = field(default_factory=dict)

    def has_table(self, name: Name) -> bool:
        return self.tables is None or name in self.tables

    def trim(self, table: Table) -> Table:
        return hide_columns(table, self.denied.get(table.qualified, frozenset()))

    def may_write(self, table: Table) -> bool:
        return table.kind in self.written and table.qualified not in self.read_only

    def has_function(self, function: Function) -> bool:
        return self.functions is None or function.oid in self.functions

    def display_type(self, schema: Schema, spelled: str, shown: str) -> str:
        """Returns `shown`, or `record` for the row type of a table out of reach: that type has the table's name."""
        if self.tables is None or (found := _SPELLED.fullmatch(spelled)) is None:
            return shown
        name = (_unquote(found["schema"]), _unquote(found["name"]))
        is_hidden = name in schema.tables and name not in self.tables
        return f"record{found['brackets']}" if is_hidden else shown


EVERYTHING = Reach()


def _unquote(spelled: str) -> str:
    return spelled[1:-1].replace('""', '"') if spelled.startswith('"') else spelled
