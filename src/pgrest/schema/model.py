"""An immutable snapshot of a database's catalogue: everything planning and capture need to know.

It holds the tables of every user schema, because a foreign key may lead into any of them; `exposed` are
the schemas that the API reaches.

Its parts are msgspec structs that the garbage collector does not look at: a large database has several hundred
thousand of them, and walking over those stalls every request. That is safe as long as no part can lead back to
itself, so a field holds text, numbers, names, and parts that were made before it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import msgspec

from pgrest.config import Name

TableKind = Literal["table", "partitioned", "view", "matview", "foreign"]
ForeignKeyAction = Literal["NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"]
Volatility = Literal["i", "s", "v"]


class OwnOperators(msgspec.Struct, frozen=True, gc=False):
    """The operators that a type brought along, in the schema that it lies in."""

    schema: str
    names: tuple[str, ...]


class Column(msgspec.Struct, frozen=True, gc=False):
    name: str
    position: int
    type: str
    """As a cast spells it, with its length and schema."""
    base_type: str
    """The type under a domain, without a length."""
    category: str
    nullable: bool
    default: str | None = None
    identity: Literal["", "a", "d"] = ""
    generated: bool = False
    enum_values: tuple[str, ...] = ()
    comment: str | None = None
    max_length: int | None = None
    own_operators: OwnOperators | None = None
    """Of a type that is not PostgreSQL's own."""


class UniqueKey(msgspec.Struct, frozen=True, gc=False):
    """A unique index over whole columns of all rows."""

    columns: tuple[str, ...]
    is_primary: bool
    is_constraint: bool
    is_immediate: bool


class ForeignKey(msgspec.Struct, frozen=True, gc=False):
    name: str
    table: Name
    columns: tuple[str, ...]
    ref_table: Name
    ref_columns: tuple[str, ...]
    on_delete: ForeignKeyAction
    on_update: ForeignKeyAction
    set_columns: tuple[str, ...]
    """The columns that SET NULL or SET DEFAULT touches, when it names them."""
    deferrable: bool
    deferred: bool
    match: Literal["SIMPLE", "FULL", "PARTIAL"]
    is_enforced: bool = True
    """False: it is only declared (NOT ENFORCED), and rows may violate it."""
    is_temporal: bool = False
    """The last column is a PERIOD: it need not be equal, but covered by those of one or several rows."""


_ROW, _BEFORE, _INSERT, _DELETE, _UPDATE, _TRUNCATE, _INSTEAD = 1, 2, 4, 8, 16, 32, 64
_EVENT_BITS = (("INSERT", _INSERT), ("UPDATE", _UPDATE), ("DELETE", _DELETE), ("TRUNCATE", _TRUNCATE))


class Trigger(msgspec.Struct, frozen=True, gc=False):
    """A user's trigger; `bits` is `pg_trigger.tgtype`."""

    name: str
    bits: int
    function: Name
    enabled: Literal["O", "D", "R", "A"]

    @property
    def timing(self) -> Literal["BEFORE", "AFTER", "INSTEAD OF"]:
        if self.bits & _INSTEAD:
            return "INSTEAD OF"
        return "BEFORE" if self.bits & _BEFORE else "AFTER"

    @property
    def events(self) -> tuple[str, ...]:
        return tuple(event for event, bit in _EVENT_BITS if self.bits & bit)

    @property
    def is_per_row(self) -> bool:
        return bool(self.bits & _ROW)


class Table(msgspec.Struct, frozen=True, gc=False):
    oid: int
    schema: str
    name: str
    kind: TableKind
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    unique_keys: tuple[UniqueKey, ...]
    key: tuple[str, ...]
    """What tells rows apart: the primary key, else a unique key without nulls, else nothing."""
    foreign_keys_out: tuple[ForeignKey, ...]
    foreign_keys_in: tuple[ForeignKey, ...]
    triggers: tuple[Trigger, ...]
    rls_enabled: bool
    rls_forced: bool
    owner: str
    comment: str | None
    insertable: bool
    updatable: bool
    deletable: bool
    is_partition: bool
    has_rules: bool = False
    """Rules of its own, which put other statements in a write's place or beside it."""
    has_child_tables: bool = False
    """Whether other tables inherit from it; partitions do not count."""
    runs_code: bool = False
    """Whether a default, a check, an index, a policy or a type reaches code that is not PostgreSQL's own."""
    runs_code_in_policies_only: bool = False
    """Then callers that bypass row security run none of it."""
    root: Name | None = None
    """The table that a partition is part of, under whose name its rows are recorded."""

    @property
    def qualified(self) -> Name:
        return (self.schema, self.name)

    @property
    def counted_as(self) -> Name:
        """Partitions are counted under the name of the table that they are part of."""
        return self.root or self.qualified

    @property
    def is_view(self) -> bool:
        return self.kind in ("view", "matview")

    @property
    def has_triggers(self) -> bool:
        return bool(self.triggers)

    @property
    def generated(self) -> frozenset[str]:
        """The columns that any change of others may change."""
        return frozenset(name for name, column in self.columns.items() if column.generated)


class Parameter(msgspec.Struct, frozen=True, gc=False):
    name: str
    type: str
    unlimited_type: str
    """The type that takes a value of any length where `type` alone would cut it."""
    is_required: bool
    is_variadic: bool


class Function(msgspec.Struct, frozen=True, gc=False):
    oid: int
    schema: str
    name: str
    comment: str | None
    parameters: tuple[Parameter, ...]
    return_schema: str
    return_type: str
    returns_set: bool
    returns_composite: bool
    volatility: Volatility
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def qualified(self) -> Name:
        return (self.schema, self.name)

    @property
    def returns_scalar(self) -> bool:
        return not self.returns_set and not self.returns_composite

    @property
    def returns_scalar_set(self) -> bool:
        return self.returns_set and not self.returns_composite

    @property
    def returns_one_row(self) -> bool:
        return not self.returns_set and self.returns_composite

    @property
    def returns_void(self) -> bool:
        return self.returns_scalar and (self.return_schema, self.return_type) == ("pg_catalog", "void")

    @property
    def answer(self) -> Name:
        """What a call reads as if it were a table: the row type that it returns, else itself."""
        return (self.schema, self.return_type if self.returns_composite else self.name)

    def signature(self) -> str:
        parameters = ", ".join(f"{parameter.name} => {parameter.type}" for parameter in self.parameters)
        return f"{self.schema}.{self.name}({parameters})"


class ComputedColumn(msgspec.Struct, frozen=True, gc=False):
    """A function of one row, which a request may name as if it were a column of the table."""

    function: Name
    table: Name
    volatility: Volatility
    type: str
    own_operators: OwnOperators | None = None

    @property
    def is_search_vector(self) -> bool:
        return self.type == "tsvector"


class Junction(msgspec.Struct, frozen=True, gc=False):
    """The table in the middle of a many-to-many relationship."""

    table: Name
    source_constraint: str
    target_constraint: str
    source_columns: tuple[tuple[str, str], ...]
    """(column of the source, column of the junction)"""
    target_columns: tuple[tuple[str, str], ...]


Cardinality = Literal["one-to-many", "many-to-one", "one-to-one", "many-to-many", "computed"]


class Relationship(msgspec.Struct, frozen=True, gc=False):
    """How rows of `table` lead to rows of `target`."""

    table: Name
    target: Name
    cardinality: Cardinality
    constraint: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    """(column of the table, column of the target)"""
    junction: Junction | None = None
    function: Name | None = None
    volatility: Volatility = "s"
    returns_one_row: bool = False
    table_is_view: bool = False
    target_is_view: bool = False
    is_parent: bool = False
    """One to one, and the foreign key is the target's."""

    @property
    def is_self(self) -> bool:
        return self.table == self.target

    @property
    def is_to_one(self) -> bool:
        return self.cardinality in ("many-to-one", "one-to-one") or self.returns_one_row


class MediaHandler(msgspec.Struct, frozen=True, gc=False):
    """A function or aggregate that makes the body; `target` is None when it takes any row."""

    function: Name
    target: Name | None
    accepts: str
    produces: str


class DbRole(msgspec.Struct, frozen=True, gc=False):
    name: str
    is_superuser: bool
    bypasses_rls: bool
    member_of: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]


class ColumnRules(NamedTuple):
    """The columns of a table that a caller may not see: `denied` are as if not there, `masked` show a constant."""

    denied: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()

    @property
    def hidden(self) -> frozenset[str]:
        return self.denied | self.masked


def _refers(table: Table, targets: Collection[Name]) -> bool:
    return bool(targets) and any(key.ref_table in targets for key in table.foreign_keys_out)


@dataclass(frozen=True)
class Schema:
    exposed: tuple[str, ...]
    tables: Mapping[Name, Table]
    functions: Mapping[Name, tuple[Function, ...]] = field(default_factory=dict)
    relationships: Mapping[Name, tuple[Relationship, ...]] = field(default_factory=dict)
    computed_columns: Mapping[Name, tuple[ComputedColumn, ...]] = field(default_factory=dict)
    """table -> the functions that may be named as its columns"""
    geojson_schema: str | None = None
    """Where PostGIS lies."""
    representations: Mapping[tuple[str, str], Name] = field(default_factory=dict)
    """(from type, to type) -> the function of an implicit cast of a domain"""
    media_handlers: Mapping[tuple[Name | None, str], MediaHandler] = field(default_factory=dict)
    roles: Mapping[str, DbRole] = field(default_factory=dict)
    timezones: frozenset[str] = frozenset()
    comments: Mapping[str, str] = field(default_factory=dict)
    """schema -> its comment"""
    server_version: int = 0
    stamps: Mapping[int, str] = field(default_factory=dict)
    """object id of a table -> the stamp that shows whether it is still as it is here"""
    reaches: Mapping[Name, tuple[Name, ...]] = field(default_factory=dict)
    """table -> itself and the tables whose rows foreign keys may change along with its own"""

    def find_table(self, schema: str, name: str) -> Table | None:
        """The table that the API may reach under this name."""
        table = self.tables.get((schema, name)) if schema in self.exposed else None
        return None if table is None or table.is_partition else table

    @property
    def relationships_of_all_columns(self) -> Mapping[Name, tuple[Relationship, ...]]:
        """Those through hidden columns, too."""
        return self.relationships

    @property
    def has_column_rules(self) -> bool:
        """False in every snapshot that is not narrowed."""
        return False

    def find_column_rules(self, table: Name) -> ColumnRules | None:  # noqa: ARG002 - what is narrowed looks it up
        """None where every column may be seen."""
        return None

    def find_computed(self, table: Name, name: str, search_path: Sequence[str]) -> ComputedColumn | None:
        """The function that `name` means for a row of `table`: the first on the search path, as PostgreSQL finds it."""
        found = {one.function[0]: one for one in self.computed_columns.get(table, ()) if one.function[1] == name}
        return next((found[schema] for schema in search_path if schema in found), None) if found else None

    @cached_property
    def table_names(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the tables that the API may reach, by schema."""
        return {
            schema: tuple(
                table.name for table in self.tables.values() if table.schema == schema and not table.is_partition
            )
            for schema in self.exposed
        }

    @cached_property
    def tables_before_triggers(self) -> frozenset[Name]:
        """Those with triggers of their own, and those from which foreign keys lead to one, however far away."""
        return self._list_before(table for table in self.tables.values() if table.has_triggers)

    @cached_property
    def tables_before_code(self) -> frozenset[Name]:
        """The same of code. A reference to a table of which its owner sees only a part runs its policies."""
        found = self._list_before(table for table in self.tables.values() if table.runs_code)
        return found | self._tables_before_forced

    @cached_property
    def tables_before_code_but_policies(self) -> frozenset[Name]:
        """The same for a caller that bypasses row security."""
        coded = (one for one in self.tables.values() if one.runs_code and not one.runs_code_in_policies_only)
        return self._list_before(coded) | self._tables_before_forced

    @cached_property
    def _tables_before_forced(self) -> frozenset[Name]:
        forced = {table.qualified for table in self.tables.values() if table.runs_code and table.rls_forced}
        return frozenset(name for name, table in self.tables.items() if _refers(table, forced))

    def _list_before(self, tables: Iterable[Table]) -> frozenset[Name]:
        found: set[Name] = set()
        waiting = list(tables)
        while waiting:
            table = waiting.pop()
            if table.qualified not in found:
                found.add(table.qualified)
                waiting += [self.tables[key.ref_table] for key in table.foreign_keys_out]
        return frozenset(found)

    @cached_property
    def _partitions(self) -> Mapping[Name, tuple[Table, ...]]:
        found: dict[Name, tuple[Table, ...]] = {}
        for table in self.tables.values():
            if table.root is not None:
                found[table.root] = (*found.get(table.root, ()), table)
        return found

    def list_keys_in(self, table: Table) -> tuple[ForeignKey, ...]:
        """The foreign keys that lead to rows of the table, also to those of one partition alone."""
        parts = self._partitions.get(table.qualified, ())
        return table.foreign_keys_in + tuple(key for part in parts for key in part.foreign_keys_in)

    def is_timezone(self, name: str) -> bool:
        return name in self.timezones

    def role_bypasses_rls(self, role: str) -> bool:
        found = self.roles.get(role)
        return found is not None and (found.is_superuser or found.bypasses_rls)
