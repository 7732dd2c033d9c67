"""A snapshot as a caller with a list of tables sees it: what it may not use is not there to be found or suggested."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from functools import cached_property

import msgspec

from pgrest.config import Name
from pgrest.schema.model import ColumnRules, Relationship, Schema, Table


@dataclass(frozen=True)
class NarrowedSchema(Schema):
    """`tables` is whole, since functions may return rows of any; `visible` and `callable` are what may be named.

    Its tables have all of their columns too: `rules` say which of them a request may not use.
    """

    visible: frozenset[Name] = frozenset()
    callable: frozenset[Name] = frozenset()
    rules: Mapping[Name, ColumnRules] = field(default_factory=dict)

    @property
    def relationships_of_all_columns(self) -> Mapping[Name, tuple[Relationship, ...]]:
        found = self.relationships
        return found.without_rules() if isinstance(found, _Narrowed) else found

    @property
    def has_column_rules(self) -> bool:
        return bool(self.rules)

    def find_column_rules(self, table: Name) -> ColumnRules | None:
        return self.rules.get(table)

    @cached_property
    def table_names(self) -> Mapping[str, tuple[str, ...]]:
        return {
            schema: tuple(name for name in names if (schema, name) in self.visible)
            for schema, names in super().table_names.items()
        }

    @cached_property
    def known_names(self) -> frozenset[str]:
        """The words that are no news: schemas, tables, columns, functions, and foreign keys between visible tables."""
        tables = [self.tables[name] for name in self.visible if name in self.tables]
        keys = (key for table in tables for key in table.foreign_keys_out if key.ref_table in self.visible)
        return frozenset(
            {
                *(word for name in self.visible | self.callable for word in name),
                *(column for table in tables for column in table.columns if not self._is_denied(table, column)),
                *(key.name for key in keys),
            }
        )

    @cached_property
    def hidden_names(self) -> frozenset[str]:
        """Of the other tables and of columns, but for what is the name of something visible, too."""
        denied = (name for one in self.rules.values() for name in one.denied)
        return frozenset({*(name for _, name in self.tables), *denied}) - self.known_names

    def _is_denied(self, table: Table, column: str) -> bool:
        rules = self.rules.get(table.qualified)
        return rules is not None and column in rules.denied


def narrow_schema(
    schema: Schema,
    tables: frozenset[Name] | None,
    functions: frozenset[Name] | None,
    rules: Mapping[Name, ColumnRules] | None = None,
) -> NarrowedSchema:
    """Relationships only between these tables, through these tables; functions only these. None is all."""
    tables = frozenset(schema.tables) if tables is None else tables
    functions = frozenset(schema.functions) if functions is None else functions
    whole = {one.name: getattr(schema, one.name) for one in fields(Schema)}
    whole["functions"] = {name: schema.functions[name] for name in functions if name in schema.functions}
    whole["relationships"] = _Narrowed(schema.relationships, tables, functions, rules or {})
    whole["computed_columns"] = {
        table: tuple(one for one in schema.computed_columns.get(table, ()) if one.function in functions)
        for table in tables
    }
    return NarrowedSchema(**whole, visible=tables, callable=functions, rules=rules or {})


def hide_columns(table: Table, denied: AbstractSet[str]) -> Table:
    """The table as its description shows it: without these columns, and without keys through them."""
    if not denied:
        return table

    def shows(columns: Iterable[str]) -> bool:
        return denied.isdisjoint(columns)

    return msgspec.structs.replace(
        table,
        columns={name: column for name, column in table.columns.items() if name not in denied},
        primary_key=table.primary_key if shows(table.primary_key) else (),
        key=table.key if shows(table.key) else (),
        unique_keys=tuple(one for one in table.unique_keys if shows(one.columns)),
        foreign_keys_out=tuple(one for one in table.foreign_keys_out if shows(one.columns)),
        foreign_keys_in=tuple(one for one in table.foreign_keys_in if shows(one.ref_columns)),
    )


class _Narrowed(Mapping[Name, tuple[Relationship, ...]]):
    """Table by table when it is asked for, as the relationships themselves are."""

    def __init__(
        self,
        whole: Mapping[Name, tuple[Relationship, ...]],
        visible: frozenset[Name],
        functions: frozenset[Name],
        rules: Mapping[Name, ColumnRules],
    ) -> None:
        self._whole = whole
        self._visible = visible
        self._functions = functions
        self._rules = rules

    def without_rules(self) -> "_Narrowed":
        return _Narrowed(self._whole, self._visible, self._functions, {})

    def __getitem__(self, table: Name) -> tuple[Relationship, ...]:
        if table not in self._visible:
            raise KeyError(table)
        return tuple(one for one in self._whole[table] if self._is_visible(one))

    def __contains__(self, table: object) -> bool:
        return table in self._visible and table in self._whole

    def __iter__(self) -> Iterator[Name]:
        return (table for table in self._whole if table in self._visible)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _is_visible(self, one: Relationship) -> bool:
        if one.function is not None and one.function not in self._functions:
            return False
        if self._rules and any(self._hides(table, columns) for table, columns in _list_joined(one)):
            return False
        return one.target in self._visible and (one.junction is None or one.junction.table in self._visible)

    def _hides(self, table: Name, columns: Iterable[str]) -> bool:
        """Whether rows belong together may not be asked of a column that is hidden on either side."""
        rules = self._rules.get(table)
        return rules is not None and not rules.hidden.isdisjoint(columns)


def _list_joined(relationship: Relationship) -> Iterator[tuple[Name, list[str]]]:
    """The tables that a relationship joins, each with the columns that it compares."""
    middle = relationship.junction
    if middle is None:
        yield relationship.table, [ours for ours, _ in relationship.columns]
        yield relationship.target, [theirs for _, theirs in relationship.columns]
        return
    yield relationship.table, [ours for ours, _ in middle.source_columns]
    yield relationship.target, [ours for ours, _ in middle.target_columns]
    yield middle.table, [theirs for _, theirs in (*middle.source_columns, *middle.target_columns)]
