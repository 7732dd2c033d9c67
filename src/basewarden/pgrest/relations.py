"""Relationships between tables: deriving them from the catalogue, and finding the one a request means."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from basewarden.pgrest import errors
from basewarden.pgrest.config import Name
from basewarden.pgrest.schema import ForeignKey, Junction, Relationship, Schema, Table
from basewarden.pgrest.similar import closest
from basewarden.pgrest.viewkeys import Origin, ViewColumns

_CARDINALITY_ORDER = {
    "one-to-many": 0,
    "many-to-one": 1,
    "one-to-one": 2,
    "many-to-many": 3,
    "computed": 4,
}


@dataclass(frozen=True, slots=True)
class ComputedRow:
    """A function of one row that returns rows: a relationship by hand."""

    function: Name
    table: Name
    target: Name
    returns_one_row: bool


# Deriving -----------------------------------------------------------------------------------------------


def relate_tables(
    tables: Mapping[Name, Table],
    foreign_keys: Iterable[ForeignKey],
    views: ViewColumns,
    computed: Iterable[ComputedRow],
) -> Mapping[Name, tuple[Relationship, ...]]:
    """All relationships by the table they start from. A computed one hides a found one of its name."""
    direct = [_from_foreign_key(key, tables) for key in foreign_keys]
    outward = [*direct, *_through_views(direct, tables, views)]
    found = [*outward, *_through_junctions(outward, tables), *(_inverse(one) for one in outward)]
    by_hand = [_from_function(row) for row in computed]
    hidden = {(one.table, one.function) for one in by_hand}
    kept = [one for one in found if (one.table, one.target) not in hidden]
    grouped: defaultdict[Name, list[Relationship]] = defaultdict(list)
    for one in [*kept, *by_hand]:
        grouped[one.table].append(one)
    return {table: tuple(sorted(group, key=_sort_key)) for table, group in grouped.items()}


def _sort_key(one: Relationship) -> tuple[object, ...]:
    middle = one.junction
    constraint = one.constraint if middle is None else f"{middle.table}{middle.source_constraint}"
    return one.target, _CARDINALITY_ORDER[one.cardinality], constraint, one.columns


def _from_foreign_key(key: ForeignKey, tables: Mapping[Name, Table]) -> Relationship:
    constraints = (unique for unique in tables[key.table].unique_keys if unique.is_constraint)
    is_unique = any(set(unique.columns) == set(key.columns) for unique in constraints)
    return Relationship(
        table=key.table,
        target=key.ref_table,
        cardinality="one-to-one" if is_unique else "many-to-one",
        constraint=key.name,
        columns=tuple(zip(key.columns, key.ref_columns, strict=True)),
    )


def _from_function(row: ComputedRow) -> Relationship:
    return Relationship(
        table=row.table,
        target=row.target,
        cardinality="computed",
        function=row.function,
        returns_one_row=row.returns_one_row,
    )


def _through_views(
    direct: Iterable[Relationship], tables: Mapping[Name, Table], views: ViewColumns
) -> Iterator[Relationship]:
    """The same relationship wherever a view shows all columns of one of its sides."""
    shown = _views_by_table(tables, views)
    for one in direct:
        from_views = list(_shown_keys(shown, one.table, [column for column, _ in one.columns]))
        to_views = list(_shown_keys(shown, one.target, [column for _, column in one.columns]))
        for view, names in from_views:
            columns = tuple(zip(names, (column for _, column in one.columns), strict=True))
            yield replace(one, table=view, columns=columns, table_is_view=True)
        for view, names in to_views:
            columns = tuple(zip((column for column, _ in one.columns), names, strict=True))
            yield replace(one, target=view, columns=columns, target_is_view=True)
        for (view, names), (other, other_names) in product(from_views, to_views):
            columns = tuple(zip(names, other_names, strict=True))
            yield replace(one, table=view, target=other, columns=columns, table_is_view=True, target_is_view=True)


ShownColumns = Mapping[Name, Sequence[tuple[Name, Mapping[str, tuple[str, ...]]]]]
"""table -> the views over it, each with the view's columns for a column of the table"""


def _views_by_table(tables: Mapping[Name, Table], views: ViewColumns) -> ShownColumns:
    named = {
        Origin(table.oid, column.position): (table.qualified, column.name)
        for table in tables.values()
        for column in table.columns.values()
    }
    shown: defaultdict[Name, list[tuple[Name, Mapping[str, tuple[str, ...]]]]] = defaultdict(list)
    for view, origins in views.items():
        columns: defaultdict[Name, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for origin, names in origins.items():
            if origin in named:
                table, column = named[origin]
                columns[table][column] = names
        for table, by_column in columns.items():
            shown[table].append((view, by_column))
    return shown


def _shown_keys(shown: ShownColumns, table: Name, columns: Sequence[str]) -> Iterator[tuple[Name, tuple[str, ...]]]:
    for view, by_column in shown.get(table, ()):
        if all(column in by_column for column in columns):
            for names in product(*(by_column[column] for column in columns)):
                yield view, names


def view_primary_keys(tables: Mapping[Name, Table], views: ViewColumns) -> Mapping[Name, tuple[str, ...]]:
    """View -> the primary keys of the tables under it, where it shows all columns of them."""
    keys: defaultdict[Name, tuple[str, ...]] = defaultdict(tuple)
    for table, shown in _views_by_table(tables, views).items():
        columns = tables[table].primary_key
        for view, by_column in shown if columns else ():
            if all(column in by_column for column in columns):
                keys[view] += tuple(by_column[column][0] for column in columns)
    return keys


def _through_junctions(outward: Sequence[Relationship], tables: Mapping[Name, Table]) -> Iterator[Relationship]:
    """Two foreign keys that are both part of a table's primary key join what they point at."""
    by_table: defaultdict[Name, list[Relationship]] = defaultdict(list)
    for one in outward:
        if one.cardinality == "many-to-one":
            by_table[one.table].append(one)
    for middle, group in by_table.items():
        key = set(tables[middle].primary_key)
        members = [one for one in group if key.issuperset(column for column, _ in one.columns)]
        for source, target in product(members, members):
            if source.constraint != target.constraint:
                yield _join_through(middle, source, target)


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
