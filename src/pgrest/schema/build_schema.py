"""Makes a snapshot of what was read: pure, and in steps, for a large catalogue takes longer than requests may wait."""

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from sys import intern

import msgspec

from pgrest.config import Name
from pgrest.schema.catalog_version import CatalogVersion
from pgrest.schema.catalogue import (
    CastRow,
    ColumnRow,
    ComputedColumnRow,
    ComputedRow,
    ForeignKeyRow,
    FunctionRow,
    HandlerRow,
    RelationRow,
    RoleRow,
    TypeKey,
    TypeRow,
    UniqueKeyRow,
)
from pgrest.schema.model import (
    Column,
    ComputedColumn,
    DbRole,
    ForeignKey,
    ForeignKeyAction,
    Function,
    MediaHandler,
    OwnOperators,
    Parameter,
    Schema,
    Table,
    TableKind,
    Trigger,
    UniqueKey,
)
from pgrest.schema.reach import Reaches
from pgrest.schema.relations import Relationships, ShownByTable
from pgrest.schema.view_columns import Targets, trace_views

_KINDS: Mapping[str, TableKind] = {"r": "table", "p": "partitioned", "v": "view", "m": "matview", "f": "foreign"}
_ACTIONS: Mapping[str, ForeignKeyAction] = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}
_UPDATE_BIT, _INSERT_BIT, _DELETE_BIT = 4, 8, 16  # as pg_relation_is_updatable sets them
_ALL_BITS = _UPDATE_BIT | _INSERT_BIT | _DELETE_BIT
# bit, bit[], character, character[]: without a length, these names mean one bit or one character
_UNLIMITED = {1560: "bit varying", 1561: "bit varying[]", 1042: "character varying", 1014: "character varying[]"}
_BODY_TYPES = frozenset({17, 114, 3802, 25, 142})  # bytea, json, jsonb, text, xml


class Relation(msgspec.Struct, frozen=True, gc=False):
    """A relation by itself: what is left to do is to put foreign keys and names together."""

    oid: int
    place: str
    """schema and name, by which its neighbours' text may spell it"""
    qualified: Name
    kind: TableKind
    owner: int
    rls_enabled: bool
    rls_forced: bool
    is_partition: bool
    has_rules: bool
    has_child_tables: bool
    columns: Mapping[str, Column]
    names: tuple[str, ...]
    """The columns' names by attribute number; those that were dropped are empty."""
    comment: str | None
    unique_keys: tuple[UniqueKey, ...]
    foreign_keys: tuple[ForeignKeyRow, ...]
    triggers: tuple[Trigger, ...]
    writable: int | None
    stamp: str
    marks: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything a snapshot is made of, kept for the next one, which takes over what has not changed."""

    pulse: CatalogVersion
    relations: Mapping[int, Relation]
    coded: Mapping[int, bool]
    """Tables that run code which is not PostgreSQL's own when they are written; whether only their policies do."""
    roots: Mapping[str, str]
    """partition -> the table that it is part of"""
    spelled: Mapping[str, str]
    """Sequences and functions -> what text calls them."""
    types: Mapping[TypeKey, TypeRow]
    targets: Mapping[int, Targets]
    """view -> where its columns come from"""
    functions: tuple[Function, ...]
    computed: tuple[ComputedRow, ...]
    computed_columns: tuple[ComputedColumnRow, ...]
    geojson_schema: str | None
    casts: tuple[CastRow, ...]
    handlers: tuple[HandlerRow, ...]
    roles: tuple[RoleRow, ...]
    comments: Mapping[str, str]
    timezones: frozenset[str]


# One by one ---------------------------------------------------------------------------------------------


def make_relations(
    rows: Iterable[RelationRow], types: Mapping[TypeKey, TypeRow], places: Mapping[int, str]
) -> Generator[None, None, list[Relation]]:
    made = []
    for row in rows:
        made.append(_make_relation(row, types, places[row.oid]))
        yield
    return made


def _make_relation(row: RelationRow, types: Mapping[TypeKey, TypeRow], place: str) -> Relation:
    comments = row.comments or {}
    columns = {one.name: one for one in _make_columns(row.columns or (), types, comments)}
    names = _names_by_position(columns)
    return Relation(
        oid=row.oid,
        place=place,
        qualified=(intern(row.schema), row.name),
        kind=_KINDS[row.kind],
        owner=row.owner,
        rls_enabled=row.rls_enabled,
        rls_forced=row.rls_forced,
        is_partition=row.is_partition,
        has_rules=row.has_rules,
        has_child_tables=row.has_child_tables,
        columns=columns,
        names=names,
        comment=comments.get("0"),
        unique_keys=tuple(_make_unique_key(key, names) for key in row.unique_keys or ()),
        foreign_keys=row.foreign_keys or (),
        triggers=tuple(Trigger(one.name, one.bits, one.function, one.enabled) for one in row.triggers or ()),
        writable=row.writable,
        stamp=row.stamp,
        marks=row.marks,
    )


def _make_columns(
    rows: Iterable[ColumnRow], types: Mapping[TypeKey, TypeRow], comments: Mapping[str, str]
) -> Iterator[Column]:
    """Run for each of a hundred thousand columns, whose names and defaults are few: they are kept once."""
    for row in rows:
        kind = types[row.type, row.modifier]
        default = row.default
        if default is not None:
            default = intern(default)
        elif not row.is_generated:
            default = kind.default
        yield Column(
            intern(row.name),
            row.position,
            kind.text,
            kind.base_text,
            kind.category,
            not (row.not_null or kind.not_null),
            default,
            row.identity,
            row.is_generated,
            kind.enum_values or (),
            comments.get(str(row.position)) if comments else None,
            kind.max_length,
            _own_operators(kind),
        )


def _own_operators(kind: TypeRow) -> OwnOperators | None:
    return OwnOperators(intern(kind.base_schema), kind.own_operators) if kind.own_operators else None


def _names_by_position(columns: Mapping[str, Column]) -> tuple[str, ...]:
    by_position = {column.position: name for name, column in columns.items()}
    return tuple(by_position.get(position, "") for position in range(max(by_position, default=0) + 1))


def _make_unique_key(row: UniqueKeyRow, names: Sequence[str]) -> UniqueKey:
    columns = tuple(names[position] for position in row.columns)
    return UniqueKey(columns, row.is_primary, row.is_constraint, row.is_immediate)


def make_function(row: FunctionRow, types: Mapping[TypeKey, TypeRow]) -> Function | None:
    """None for one that a request cannot call by its arguments' names or with its whole body."""
    names = [row.names[at] if row.names and at < len(row.names) else "" for at in range(len(row.types))]
    unnamed = names.count("")
    if unnamed > 1 or (unnamed and row.types[0] not in _BODY_TYPES):
        return None
    modes = row.modes or ()
    returned = types[row.returned, None]
    return Function(
        oid=row.oid,
        schema=row.schema,
        name=row.name,
        comment=row.comment,
        parameters=tuple(
            Parameter(
                name,
                text := types[kind, None].text,
                _UNLIMITED.get(kind, text),
                is_required=at < row.count - row.defaults,
                is_variadic=at < len(modes) and modes[at] == "v",
            )
            for at, (name, kind) in enumerate(zip(names, row.types, strict=True))
        ),
        return_schema=returned.base_schema,
        return_type=returned.base_name,
        returns_set=row.returns_set,
        returns_composite=returned.is_composite or not {"t", "b", "o"}.isdisjoint(modes),
        volatility=row.volatility,
        settings=tuple(_split_setting(one) for one in row.settings or ()),
    )


def _split_setting(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


# Together -----------------------------------------------------------------------------------------------


def make_schema(catalogue: Catalogue, exposed: tuple[str, ...], server_version: int) -> Generator[None, None, Schema]:
    tables = yield from make_tables(catalogue.relations, catalogue.roles, catalogue.coded, catalogue.roots)
    shown = yield from _show_views(catalogue)
    for name, columns in _view_keys(tables, shown).items():
        tables[name] = msgspec.structs.replace(tables[name], primary_key=columns, key=columns)
        yield
    return Schema(
        exposed=exposed,
        tables=tables,
        functions={name: tuple(group) for name, group in groupby(catalogue.functions, key=lambda one: one.qualified)},
        relationships=Relationships(tables, shown, catalogue.computed),
        computed_columns=_make_computed_columns(catalogue),
        geojson_schema=catalogue.geojson_schema,
        representations={(one.source, one.target): one.function for one in catalogue.casts},
        media_handlers={(one.target, one.accepts): MediaHandler(*one) for one in catalogue.handlers},
        roles={one.name: _make_role(one) for one in catalogue.roles},
        timezones=catalogue.timezones,
        comments=catalogue.comments,
        server_version=server_version,
        stamps={relation.oid: relation.stamp for relation in catalogue.relations.values()},
        reaches=Reaches(tables),
    )


def _make_computed_columns(catalogue: Catalogue) -> Mapping[Name, tuple[ComputedColumn, ...]]:
    columns: defaultdict[Name, list[ComputedColumn]] = defaultdict(list)
    for row in catalogue.computed_columns:
        kind = catalogue.types[row.returned, None]
        columns[row.table].append(
            ComputedColumn(row.function, row.table, row.volatility, kind.base_text, _own_operators(kind))
        )
    return {table: tuple(found) for table, found in columns.items()}


def _make_role(row: RoleRow) -> DbRole:
    settings = tuple(_split_setting(one) for one in row.settings or ())
    return DbRole(row.name, row.is_superuser, row.bypasses_rls, row.member_of or (), settings)


def make_tables(
    relations: Mapping[int, Relation], roles: Iterable[RoleRow], coded: Mapping[int, bool], roots: Mapping[str, str]
) -> Generator[None, None, dict[Name, Table]]:
    """In the order that they are given. Foreign keys are known where both their tables are."""
    owners = {role.oid: role.name for role in roles}
    outward, inward = yield from _make_foreign_keys(relations)
    tables = {}
    for relation in relations.values():
        owner = owners.get(relation.owner, "")
        ways = tuple(outward.get(relation.oid, ())), tuple(inward.get(relation.oid, ()))
        root = relations.get(int(roots.get(str(relation.oid), 0)))
        tables[relation.qualified] = _make_table(
            relation, owner, *ways, coded=coded.get(relation.oid), root=root.qualified if root is not None else None
        )
        yield
    return tables


ForeignKeys = dict[int, list[ForeignKey]]


def _make_foreign_keys(
    relations: Mapping[int, Relation],
) -> Generator[None, None, tuple[ForeignKeys, ForeignKeys]]:
    """By the table that has them, and by the table that they lead to."""
    outward: ForeignKeys = defaultdict(list)
    inward: ForeignKeys = defaultdict(list)
    for oid in sorted(relations):
        for row in relations[oid].foreign_keys:
            target = relations.get(row.ref_table)
            if target is not None:
                key = _make_foreign_key(row, relations[oid], target)
                outward[oid].append(key)
                inward[target.oid].append(key)
        yield
    return outward, inward


def _make_foreign_key(row: ForeignKeyRow, origin: Relation, target: Relation) -> ForeignKey:
    return ForeignKey(
        name=row.name,
        table=origin.qualified,
        columns=tuple(origin.names[at] for at in row.columns),
        ref_table=target.qualified,
        ref_columns=tuple(target.names[at] for at in row.ref_columns),
        on_delete=_ACTIONS[row.on_delete],
        on_update=_ACTIONS[row.on_update],
        set_columns=tuple(origin.names[at] for at in row.set_columns or ()),
        deferrable=row.deferrable,
        deferred=row.deferred,
        match="FULL" if row.match == "f" else "PARTIAL" if row.match == "p" else "SIMPLE",
        is_enforced=row.is_enforced,
        is_temporal=row.is_temporal,
    )


def _make_table(
    relation: Relation,
    owner: str,
    foreign_keys_out: tuple[ForeignKey, ...],
    foreign_keys_in: tuple[ForeignKey, ...],
    *,
    coded: bool | None,
    root: Name | None,
) -> Table:
    primary_key = next((key.columns for key in relation.unique_keys if key.is_primary), ())
    writable = _writable_bits(relation)
    return Table(
        oid=relation.oid,
        schema=relation.qualified[0],
        name=relation.qualified[1],
        kind=relation.kind,
        columns=relation.columns,
        primary_key=primary_key,
        unique_keys=relation.unique_keys,
        key=primary_key or _first_total_key(relation.unique_keys, relation.columns),
        foreign_keys_out=foreign_keys_out,
        foreign_keys_in=foreign_keys_in,
        triggers=relation.triggers,
        rls_enabled=relation.rls_enabled,
        rls_forced=relation.rls_forced,
        owner=owner,
        comment=relation.comment,
        insertable=bool(writable & _INSERT_BIT),
        updatable=bool(writable & _UPDATE_BIT),
        deletable=bool(writable & _DELETE_BIT),
        is_partition=relation.is_partition,
        has_rules=relation.has_rules,
        has_child_tables=relation.has_child_tables,
        runs_code=coded is not None,
        runs_code_in_policies_only=bool(coded),
        root=root,
    )


def _writable_bits(relation: Relation) -> int:
    """A view that could not be asked is taken for one that can be written to: the database knows better then."""
    if relation.kind == "matview":
        return 0
    return _ALL_BITS if relation.writable is None else relation.writable


def _first_total_key(keys: Iterable[UniqueKey], columns: Mapping[str, Column]) -> tuple[str, ...]:
    for key in keys:
        if key.is_immediate and not any(columns[name].nullable for name in key.columns):
            return key.columns
    return ()


# Views --------------------------------------------------------------------------------------------------


def _show_views(catalogue: Catalogue) -> Generator[None, None, ShownByTable]:
    relations = catalogue.relations
    shown: defaultdict[Name, list[tuple[Name, Mapping[str, tuple[str, ...]]]]] = defaultdict(list)
    traced = yield from trace_views(catalogue.targets)
    for oid, origins in traced.items():
        view = relations[oid]
        columns: defaultdict[int, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for (table, column), positions in origins.items():
            found = _name_at(relations.get(table), column)
            if found:
                columns[table][found] = tuple(view.names[position] for position in positions)
        for table, by_column in columns.items():
            shown[relations[table].qualified].append((view.qualified, by_column))
        yield
    return shown


def _name_at(relation: Relation | None, position: int) -> str:
    """Empty where there is no such column, or it is one of the system's."""
    return relation.names[position] if relation is not None and 0 < position < len(relation.names) else ""


def _view_keys(tables: Mapping[Name, Table], shown: ShownByTable) -> Mapping[Name, tuple[str, ...]]:
    """View -> the primary keys of the tables under it, where it shows all columns of them."""
    keys: defaultdict[Name, tuple[str, ...]] = defaultdict(tuple)
    for table, views in shown.items():
        columns = tables[table].primary_key
        for view, by_column in views if columns else ():
            if all(column in by_column for column in columns):
                keys[view] += tuple(by_column[column][0] for column in columns)
    return keys
