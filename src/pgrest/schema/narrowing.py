"""A snapshot as a caller with a list of tables sees it: what it may not use is not there to be found or suggested."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

from pgrest.config import Name
from pgrest.schema.model import Relationship, Schema


@dataclass(frozen=True)
class NarrowedSchema(Schema):
    """`tables` is whole, since functions may return rows of any; `visible` and `callable` are what may be named."""

    visible: frozenset[Name] = frozenset()
    callable: frozenset[Name] = frozenset()

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
                *(column for table in tables for column in table.columns),
                *(key.name for key in keys),
            }
        )

    @cached_property
    def hidden_names(self) -> frozenset[str]:
        """Of the other tables, but for what is the name of something visible, too."""
        return frozenset(name for _, name in self.tables) - self.known_names


def narrow_schema(schema: Schema, tables: frozenset[Name], functions: frozenset[Name]) -> NarrowedSchema:
    """Relationships only between these tables, through these tables; functions only these."""
    whole = {one.name: getattr(schema, one.name) for one in fields(Schema)}
    whole["functions"] = {name: schema.functions[name] for name in functions if name in schema.functions}
    whole["relationships"] = _Narrowed(schema.relationships, tables, functions)
    whole["computed_columns"] = {
        table: tuple(one for one in schema.computed_columns.get(table, ()) if one.function in functions)
        for table in tables
    }
    return NarrowedSchema(**whole, visible=tables, callable=functions)


class _Narrowed(Mapping[Name, tuple[Relationship, ...]]):
    """Table by table when it is asked for, as the relationships themselves are."""

    def __init__(
        self,
        whole: Mapping[Name, tuple[Relationship, ...]],
        visible: frozenset[Name],
        functions: frozenset[Name],
    ) -> None:
        self._whole = whole
        self._visible = visible
        self._functions = functions

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
        return one.target in self._visible and (one.junction is None or one.junction.table in self._visible)
