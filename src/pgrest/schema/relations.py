"""Relationships between tables: deriving them from the catalogue, and finding the one a request means.

They are derived table by table, when a request first asks for a table's: all together they grow with the square of
the foreign keys that meet in one table, and few of them are ever asked for.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product

from msgspec.structs import replace

from pgrest import errors
from pgrest.config import Name
from pgrest.query.suggestions import closest
from pgrest.schema.catalogue import ComputedRow
from pgrest.schema.model import ForeignKey, Junction, Relationship, Schema, Table

_CARDINALITY_ORDER = {
    "one-to-many": 0,
    "many-to-one": 1,
    "one-to-one": 2,
    "many-to-many": 3,
    "computed": 4,
}

ShownByTable = Mapping[Name, Sequence[tuple[Name, Mapping[str, tuple[str, ...]]]]]
"""table -> the views over it, each with the view's columns for a column of the table"""

# Deriving -----------------------------------------------------------------------------------------------


class Relationships(Mapping[Name, tuple[Relationship, ...]]):
    """By the table they start from. A computed one hides a found one of its name."""

    def __init__(self, tables: Mapping[Name, Table], shown: ShownByTable, computed: Iterable[ComputedRow]) -> None:
        self._tables = tables
        self._shown = shown
        self._under: defaultdict[Name, list[tuple[Name, Mapping[str, tuple[str, ...]]]]] = defaultdict(list)
        for table, views in shown.items():
            for view, by_column in views:
                self._under[view].append((table, by_column))
        self._computed: defaultdict[Name, list[Relationship]] = defaultdict(list)
        for row in computed:
            self._computed[row.table].append(_from_function(row))
        self._derived: dict[Name, tuple[Relationship, ...]] = {}

    def __getitem__(self, table: Name) -> tuple[Relationship, ...]:
        found = self._derived.get(table)
        if found is None:
            if table not in self._origins:
                raise KeyError(table)
            found = self._derived[table] = self._derive(table)
        return found

    def __contains__(self, table: object) -> bool:
        return table in self._origins

    def __iter__(self) -> Iterator[Name]:
        return iter(self._origins)

    def __len__(self) -> int:
        return len(self._origins)

    @cached_property
    def _origins(self) -> Mapping[Name, None]:
        """The tables that any relationship starts from."""
        origins = dict.fromkeys(self._computed)
        for table in self._tables.values():
            ways = [key.columns for key in table.foreign_keys_out] + [key.ref_columns for key in table.foreign_keys_in]
            if ways:
                origins[table.qualified] = None
            for view, by_column in self._shown.get(table.qualified, ()):
                if any(all(column in by_column for column in columns) for columns in ways):
                    origins[view] = None
        return origins

    def _derive(self, table: Name) -> tuple[Relationship, ...]:
        outward = list(self._lead_out(table))
        inward = list(self._lead_in(table))
        found = [*outward, *self._cross_junctions(inward), *(_inverse(one) for one in inward)]
        by_hand = self._computed.get(table, [])
        hidden = {one.function for one in by_hand}
        return tuple(sorted([*(one for one in found if one.target not in hidden), *by_hand], key=_sort_key))

    def _lead_out(self, table: Name) -> Iterator[Relationship]:
        """Along the foreign keys of the table, or of the tables under the view, to tables and the views over them."""
        own = self._tables.get(table)
        for key in own.foreign_keys_out if own is not None else ():
            direct = self._from_foreign_key(key)
            yield direct
            yield from self._to_views(direct)
        for under, by_column in self._under.get(table, ()):
            for key in self._tables[under].foreign_keys_out:
                for from_view in _from_view(self._from_foreign_key(key), table, by_column):
                    yield from_view
                    yield from self._to_views(from_view)

    def _lead_in(self, table: Name) -> Iterator[Relationship]:
        """The same ways for the table at their other end."""
        own = self._tables.get(table)
        for key in own.foreign_keys_in if own is not None else ():
            direct = self._from_foreign_key(key)
            yield direct
            yield from self._from_views(direct)
        for under, by_column in self._under.get(table, ()):
            for key in self._tables[under].foreign_keys_in:
                for to_view in _to_view(self._from_foreign_key(key), table, by_column):
                    yield to_view
                    yield from self._from_views(to_view)

    def _from_views(self, one: Relationship) -> Iterator[Relationship]:
        for view, by_column in self._shown.get(one.table, ()):
            yield from _from_view(one, view, by_column)

    def _to_views(self, one: Relationship) -> Iterator[Relationship]:
        for view, by_column in self._shown.get(one.target, ()):
            yield from _to_view(one, view, by_column)

    def _from_foreign_key(self, key: ForeignKey) -> Relationship:
        constraints = (unique for unique in self._tables[key.table].unique_keys if unique.is_constraint)
        is_unique = any(set(unique.columns) == set(key.columns) for unique in constraints)
        return Relationship(
            table=key.table,
            target=key.ref_table,
            cardinality="one-to-one" if is_unique else "many-to-one",
            constraint=key.name,
            columns=tuple(zip(key.columns, key.ref_columns, strict=True)),
        )

    def _cross_junctions(self, inward: Iterable[Relationship]) -> Iterator[Relationship]:
        """Two foreign keys that are both part of a table's primary key join what they point at."""
        members: dict[Name, list[Relationship]] = {}
        for source in inward:
            if not self._is_member(source):
                continue
            if source.table not in members:
                members[source.table] = [one for one in self._lead_out(source.table) if self._is_member(one)]
            for target in members[source.table]:
                if source.constraint != target.constraint:
                    yield _join_through(source.table, source, target)

    def _is_member(self, one: Relationship) -> bool:
        key = self._tables[one.table].primary_key
        return one.cardinality == "many-to-one" and all(column in key for column, _ in one.columns)


def _sort_key(one: Relationship) -> tuple[object, ...]:
    middle = one.junction
    constraint = one.constraint if middle is None else f"{middle.table}{middle.source_constraint}"
    return one.target, _CARDINALITY_ORDER[one.cardinality], constraint, one.columns


def _from_function(row: ComputedRow) -> Relationship:
    return Relationship(
        table=row.table,
        target=row.target,
        cardinality="computed",
        function=row.function,
        volatility=row.volatility,
        returns_one_row=row.returns_one_row,
    )


def _from_view(one: Relationship, view: Name, shown: Mapping[str, Sequence[str]]) -> Iterator[Relationship]:
    """The same from a view that shows all its columns, once for each way in which it shows them."""
    if all(column in shown for column, _ in one.columns):
        for names in product(*(shown[column] for column, _ in one.columns)):
            columns = tuple(zip(names, (column for _, column in one.columns), strict=True))
            yield replace(one, table=view, columns=columns, table_is_view=True)


def _to_view(one: Relationship, view: Name, shown: Mapping[str, Sequence[str]]) -> Iterator[Relationship]:
    if all(column in shown for _, column in one.columns):
        for names in product(*(shown[column] for _, column in one.columns)):
            columns = tuple(zip((column for column, _ in one.columns), names, strict=True))
            yield replace(one, target=view, columns=columns, target_is_view=True)


def _join_through(middle: Name, source: Relationship, target: Relationship) -> Relationship:
    return Relationship(
        table=source.target,
        target=target.target,
        cardinality="many-to-many",
        junction=Junction(
            table=middle,
            source_constraint=source.constraint,
            target_constraint=target.constraint,
            source_columns=tuple((theirs, ours) for ours, theirs in source.columns),
            target_columns=tuple((theirs, ours) for ours, theirs in target.columns),
        ),
        table_is_view=source.target_is_view,
        target_is_view=target.target_is_view,
    )


def _inverse(one: Relationship) -> Relationship:
    return replace(
        one,
        table=one.target,
        target=one.table,
        cardinality="one-to-many" if one.cardinality == "many-to-one" else one.cardinality,
        columns=tuple((theirs, ours) for ours, theirs in one.columns),
        table_is_view=one.target_is_view,
        target_is_view=one.table_is_view,
        is_parent=one.cardinality == "one-to-one",
    )


# Finding ------------------------------------------------------------------------------------------------


def find_relationship(schema: Schema, namespace: str, origin: str, target: str, hint: str | None) -> Relationship:
    """The one relationship that `origin?select=target!hint(*)` means within a schema."""
    candidates = _embeddable(schema, namespace, origin)
    matching = [one for one in candidates if _is_meant(one, target, hint)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise _ambiguous(origin, target, matching)
    raise errors.no_relationship(
        origin, target, hint, namespace, _suggest(schema, namespace, origin, target, candidates)
    )


def _embeddable(schema: Schema, namespace: str, origin: str) -> list[Relationship]:
    return [
        one
        for one in schema.relationships.get((namespace, origin), ())
        if one.target[0] == namespace and (one.junction is None or one.junction.table[0] in schema.exposed)
    ]


def _is_meant(one: Relationship, target: str, hint: str | None) -> bool:
    if one.function is not None:
        return target == one.function[1]
    if one.is_self:
        return _is_meant_self(one, target, hint)
    if hint is None:
        if target == one.target[1]:
            return True
        return not one.target_is_view and (_is_constraint(one, target) or _is_own_column(one, target))
    return target == one.target[1] and any(
        matches(one, hint) for matches in (_is_constraint, _is_own_column, _is_their_column, _is_junction)
    )


def _is_meant_self(one: Relationship, target: str, hint: str | None) -> bool:
    """A table's foreign key to itself gives two relationships; the words tell which."""
    is_to_many = target == one.target[1] and one.cardinality == "one-to-many"
    if hint is not None:
        return is_to_many and _is_their_column(one, hint)
    return is_to_many or (one.cardinality == "many-to-one" and _is_own_column(one, target))


def _is_constraint(one: Relationship, word: str) -> bool:
    return one.junction is None and one.constraint == word


def _is_own_column(one: Relationship, word: str) -> bool:
    return len(one.columns) == 1 and one.columns[0][0] == word


def _is_their_column(one: Relationship, word: str) -> bool:
    return len(one.columns) == 1 and one.columns[0][1] == word


def _is_junction(one: Relationship, word: str) -> bool:
    return one.junction is not None and one.junction.table[1] == word


def _ambiguous(origin: str, target: str, matching: Sequence[Relationship]) -> errors.PgrestError:
    hints = (f"'{one.target[1]}!{_hint_word(one)}'" for one in matching)
    return errors.ambiguous_relationship(origin, target, [_describe(one) for one in matching], hints)


def _hint_word(one: Relationship) -> str:
    return one.constraint if one.junction is None else one.junction.table[1]


def _describe(one: Relationship) -> dict[str, str]:
    if one.junction is not None:
        middle = one.junction
        ours = _list_columns(middle.source_columns, 1)
        theirs = _list_columns(middle.target_columns, 1)
        path = f"{middle.table[1]} using {middle.source_constraint}{ours} and {middle.target_constraint}{theirs}"
    else:
        ours, theirs = _list_columns(one.columns, 0), _list_columns(one.columns, 1)
        path = f"{one.constraint} using {one.table[1]}{ours} and {one.target[1]}{theirs}"
    return {
        "cardinality": one.cardinality,
        "embedding": f"{one.table[1]} with {one.target[1]}",
        "relationship": path,
    }


def _list_columns(columns: Iterable[tuple[str, str]], side: int) -> str:
    return f"({', '.join(pair[side] for pair in columns)})"


def _suggest(
    schema: Schema, namespace: str, origin: str, target: str, candidates: Sequence[Relationship]
) -> str | None:
    if (namespace, origin) in schema.relationships:
        names = {one.target[1] for one in candidates}
        is_known = target.lower() in {name.lower() for name in names}
        found = None if is_known else closest(target, names, 0.33)
        return found and f"Perhaps you meant '{found}' instead of '{target}'."
    origins = {name for (space, name) in schema.relationships if space == namespace}
    found = closest(origin, origins - {origin}, 0.33)
    return found and f"Perhaps you meant '{found}' instead of '{origin}'."
