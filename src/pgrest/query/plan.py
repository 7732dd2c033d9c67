"""Holds a request against the snapshot and says what will be done, as one immutable value."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, NamedTuple

from pgrest import errors
from pgrest.config import Name, RestConfig
from pgrest.query.embedding import build_tree, needed_columns, resolve_conditions
from pgrest.query.grammar import media
from pgrest.query.grammar.media import MediaType
from pgrest.query.grammar.nodes import Compare
from pgrest.query.grammar.prefer import Preferences
from pgrest.query.hiding import check_rows, check_shown, choose_count
from pgrest.query.negotiate import Body, choose_media
from pgrest.query.payload import Payload
from pgrest.query.request import Request
from pgrest.query.routines import find_function
from pgrest.query.suggestions import closest
from pgrest.query.tree import ReadNode, TreeCondition
from pgrest.schema.model import ComputedColumn, Function, Parameter, Schema, Table, Volatility
from pgrest.sql.text import is_own_type


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A column that the body gives, with the type its JSON is read as."""

    name: str
    type: str
    transform: Name | None
    default: str | None


class UsedFunction(NamedTuple):
    name: Name
    volatility: Volatility


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """What every plan that reaches the database has."""

    tree: ReadNode
    body: Body
    media: MediaType
    preferences: Preferences
    tables_read: frozenset[Name] = frozenset()
    tables_written: frozenset[Name] = frozenset()
    computed: Mapping[str, ComputedColumn] = field(default_factory=dict)
    """The computed columns that are evaluated where the answer's rows come from, by their names."""

    @property
    def all_conditions(self) -> tuple[TreeCondition, ...]:
        """Those of the answer, and those of what is done."""
        return tuple(condition for node in self.tree.walk() for condition in node.conditions)

    def functions(self) -> Iterator[UsedFunction]:
        """The functions of the database that a request means by name without calling them as `rpc/…`."""
        for node in self.tree.walk():
            yield from _list_functions(node)
        yield from (_used(one) for condition in self.all_conditions for one in condition.computed())
        if self.body.handler is not None:
            yield UsedFunction(self.body.handler.function, "s")  # of an aggregate the catalog does not say

    def casts(self) -> Iterator[str]:
        """The types that a request casts to and that are not PostgreSQL's own."""
        for node in self.tree.walk():
            for output in (*node.outputs, *node.spread_extras):
                yield from (one for one in (output.cast, output.aggregate_cast) if one and not is_own_type(one))
            for embed in node.embeds:
                yield from (
                    one.aggregate_cast
                    for one in embed.fields
                    if one.aggregate_cast and not is_own_type(one.aggregate_cast)
                )


@dataclass(frozen=True, kw_only=True)
class ReadPlan(_Planned):
    kind: ClassVar[Literal["read"]] = "read"
    read_only: ClassVar[bool] = True
    table: Table
    max_rows: int | None
    is_head: bool


@dataclass(frozen=True, kw_only=True)
class InsertPlan(_Planned):
    """`conditions` are those of a PUT, which the inserted row must meet."""

    kind: ClassVar[Literal["insert"]] = "insert"
    read_only: ClassVar[bool] = False
    table: Table
    columns: tuple[InputColumn, ...]
    payload: Payload
    returning: tuple[str, ...]
    fills_defaults: bool
    resolution: Literal["merge-duplicates", "ignore-duplicates"] | None
    conflict_columns: tuple[str, ...]
    names_conflict: bool = False
    conditions: tuple[TreeCondition, ...] = ()
    is_put: bool = False

    @property
    def all_conditions(self) -> tuple[TreeCondition, ...]:
        return (*self.conditions, *super().all_conditions)

    @property
    def is_upsert(self) -> bool:
        return self.resolution is not None and bool(self.conflict_columns)


@dataclass(frozen=True, kw_only=True)
class UpdatePlan(_Planned):
    kind: ClassVar[Literal["update"]] = "update"
    read_only: ClassVar[bool] = False
    table: Table
    columns: tuple[InputColumn, ...]
    payload: Payload
    conditions: tuple[TreeCondition, ...]
    returning: tuple[str, ...]
    fills_defaults: bool

    @property
    def is_filtered(self) -> bool:
        return bool(self.conditions)

    @property
    def all_conditions(self) -> tuple[TreeCondition, ...]:
        return (*self.conditions, *super().all_conditions)


@dataclass(frozen=True, kw_only=True)
class DeletePlan(_Planned):
    kind: ClassVar[Literal["delete"]] = "delete"
    read_only: ClassVar[bool] = False
    table: Table
    conditions: tuple[TreeCondition, ...]
    returning: tuple[str, ...]

    @property
    def is_filtered(self) -> bool:
        return bool(self.conditions)

    @property
    def all_conditions(self) -> tuple[TreeCondition, ...]:
        return (*self.conditions, *super().all_conditions)


@dataclass(frozen=True, kw_only=True)
class CallPlan(_Planned):
    """`arguments` are given one by one as text; otherwise `payload` holds them."""

    kind: ClassVar[Literal["call"]] = "call"
    function: Function
    parameters: tuple[Parameter, ...]
    arguments: Mapping[str, str | tuple[str, ...]] | None
    payload: Payload | None
    returning: tuple[str, ...]
    read_only: bool
    is_head: bool
    names_bare: bool = False
    """Whether the names of its columns are not known, and must not be taken for functions."""


@dataclass(frozen=True)
class InfoPlan:
    """OPTIONS: the allowed methods, which are known without the database."""

    kind: ClassVar[Literal["info"]] = "info"
    allow: str


@dataclass(frozen=True)
class OpenApiPlan:
    """The root: a description of the schema."""

    kind: ClassVar[Literal["openapi"]] = "openapi"
    read_only: ClassVar[bool] = True
    schema: str
    is_head: bool


WritePlan = InsertPlan | UpdatePlan | DeletePlan
DatabasePlan = ReadPlan | WritePlan | CallPlan
Plan = DatabasePlan | InfoPlan | OpenApiPlan


def plan_request(schema: Schema, request: Request, config: RestConfig) -> Plan:
    if request.resource.kind == "root":
        return _plan_root(request)
    if request.resource.kind == "function":
        return _plan_function(schema, request, config)
    table = require_table(schema, request.schema, request.resource.name)
    match request.method:
        case "GET" | "HEAD":
            return _plan_read(schema, request, config, table)
        case "POST":
            return _plan_insert(schema, request, config, table)
        case "PUT":
            return _plan_put(schema, request, config, table)
        case "PATCH":
            return _plan_update(schema, request, config, table)
        case "DELETE":
            return _plan_delete(schema, request, config, table)
        case _:
            return InfoPlan(_allowed_methods(table))


def require_table(schema: Schema, namespace: str, name: str) -> Table:
    table = schema.find_table(namespace, name)
    if table is None:
        similar = closest(name, schema.table_names.get(namespace, ()), 0.75)
        raise errors.table_not_found(namespace, name, similar)
    return table


def _plan_root(request: Request) -> Plan:
    if request.method == "OPTIONS":
        return InfoPlan("OPTIONS,GET,HEAD")
    if not {media.OPENAPI, media.JSON, media.ANY}.intersection(request.accept):
        raise errors.media_not_available(accepted.mime() for accepted in request.accept)
    return OpenApiPlan(request.schema, request.is_head)


def _allowed_methods(table: Table) -> str:
    can_put = table.insertable and table.updatable and bool(table.primary_key)
    optional = (
        ("POST", table.insertable),
        ("PUT", can_put),
        ("PATCH", table.updatable),
        ("DELETE", table.deletable),
    )
    return ",".join(["OPTIONS,GET,HEAD", *(method for method, is_allowed in optional if is_allowed)])


def _common(
    schema: Schema, request: Request, config: RestConfig, target: Name, tree: ReadNode
) -> tuple[Body, MediaType]:
    """The checks that come last, in PostgREST's order, which is another for writes."""
    if request.resource.kind == "table" and request.payload is not None:
        _check_preferences(request)
    chosen = choose_media(schema, request, config, target, selects_everything=tree.selects_everything)
    _check_preferences(request)
    return chosen


def _check_preferences(request: Request) -> None:
    if request.preferences.invalid and request.preferences.is_strict:
        raise errors.bad_preferences(request.preferences.invalid)


# Reads --------------------------------------------------------------------------------------------------


def _plan_read(schema: Schema, request: Request, config: RestConfig, table: Table) -> ReadPlan:
    tree = build_tree(schema, request, config, table.qualified, from_source=False)
    body, chosen = _common(schema, request, config, table.qualified, tree)
    return ReadPlan(
        tree=tree,
        body=body,
        media=chosen,
        preferences=replace(
            request.preferences,
            resolution=None,
            returning=None,
            missing=None,
            max_affected=None,
            count=choose_count(schema, request.preferences.count),
        ),
        tables_read=frozenset(tree.tables()),
        table=table,
        max_rows=config.max_rows,
        is_head=request.is_head,
    )


# Writes -------------------------------------------------------------------------------------------------


def _plan_insert(schema: Schema, request: Request, config: RestConfig, table: Table) -> InsertPlan:
    tree = build_tree(schema, request, config, table.qualified, from_source=True)
    payload = request.payload or Payload(b"[]")
    columns = _input_columns(schema, table, payload)
    body, chosen = _common(schema, request, config, table.qualified, tree)
    preferences = request.preferences
    on_conflict = request.query.on_conflict
    check_shown(schema, table, on_conflict or ())
    can_resolve = bool(table.primary_key) or on_conflict is not None
    return InsertPlan(
        tree=tree,
        body=body,
        media=chosen,
        preferences=replace(preferences, resolution=preferences.resolution if can_resolve else None, max_affected=None),
        tables_read=_tables_shown(tree, body),
        tables_written=frozenset({table.qualified}),
        table=table,
        columns=columns,
        payload=payload,
        returning=(returning := _returning(request, config, tree, table)),
        computed=_computed_in(tree, returning),
        fills_defaults=preferences.missing == "default",
        resolution=preferences.resolution,
        conflict_columns=on_conflict if on_conflict is not None else table.primary_key,
        names_conflict=on_conflict is not None,
    )


def _plan_put(schema: Schema, request: Request, config: RestConfig, table: Table) -> InsertPlan:
    query = request.query
    tree = build_tree(schema, request, config, table.qualified, from_source=True)
    root_filters = [one.filter for one in query.filters if not one.path]
    names_whole_key = query.filter_keys == set(table.primary_key) and bool(table.primary_key)
    compares_only = all(
        isinstance(one.operation, Compare)
        and (one.operation.operator, one.operation.quantifier, one.negated) == ("eq", None, False)
        for one in root_filters
    )
    if query.logic or not names_whole_key or not compares_only:
        raise errors.bad_put_filters()
    payload = request.payload or Payload(b"[]")
    columns = _input_columns(schema, table, payload)
    body, chosen = _common(schema, request, config, table.qualified, tree)
    return InsertPlan(
        tree=tree,
        body=body,
        media=chosen,
        preferences=replace(request.preferences, resolution=None, missing=None, max_affected=None),
        tables_read=_tables_shown(tree, body),
        tables_written=frozenset({table.qualified}),
        table=table,
        columns=columns,
        payload=payload,
        returning=(returning := _returning(request, config, tree, table)),
        computed=_computed_in(tree, returning),
        fills_defaults=False,
        resolution="merge-duplicates",
        conflict_columns=table.primary_key,
        conditions=resolve_conditions(schema, config, table, root_filters, ()),
        is_put=True,
    )


def _plan_update(schema: Schema, request: Request, config: RestConfig, table: Table) -> UpdatePlan:
    tree = build_tree(schema, request, config, table.qualified, from_source=True)
    payload = request.payload or Payload(b"[]")
    columns = _input_columns(schema, table, payload)
    body, chosen = _common(schema, request, config, table.qualified, tree)
    return UpdatePlan(
        tree=tree,
        body=body,
        media=chosen,
        preferences=replace(request.preferences, resolution=None),
        tables_read=_tables_shown(tree, body),
        tables_written=frozenset({table.qualified}),
        table=table,
        columns=columns,
        payload=payload,
        conditions=_root_conditions(schema, request, config, table),
        returning=(returning := _returning(request, config, tree, table)),
        computed=_computed_in(tree, returning),
        fills_defaults=request.preferences.missing == "default",
    )


def _plan_delete(schema: Schema, request: Request, config: RestConfig, table: Table) -> DeletePlan:
    tree = build_tree(schema, request, config, table.qualified, from_source=True)
    body, chosen = _common(schema, request, config, table.qualified, tree)
    return DeletePlan(
        tree=tree,
        body=body,
        media=chosen,
        preferences=replace(request.preferences, resolution=None, missing=None),
        tables_read=_tables_shown(tree, body),
        tables_written=frozenset({table.qualified}),
        table=table,
        conditions=_root_conditions(schema, request, config, table),
        returning=(returning := _returning(request, config, tree, table)),
        computed=_computed_in(tree, returning),
    )


def _root_conditions(schema: Schema, request: Request, config: RestConfig, table: Table) -> tuple[TreeCondition, ...]:
    filters = (one.filter for one in request.query.filters if not one.path)
    logic = (one.logic for one in request.query.logic if not one.path)
    return resolve_conditions(schema, config, table, filters, logic)


def _input_columns(schema: Schema, table: Table, payload: Payload) -> tuple[InputColumn, ...]:
    return tuple(_input_column(schema, table, name) for name in sorted(payload.keys))


def _input_column(schema: Schema, table: Table, name: str) -> InputColumn:
    check_shown(schema, table, (name,))
    column = table.columns.get(name)
    if column is None:
        raise errors.column_not_found(table.name, name)
    transform = schema.representations.get(("json", column.type))
    return InputColumn(name, column.type if transform is None else "json", transform, column.default)


def _returning(request: Request, config: RestConfig, tree: ReadNode, table: Table) -> tuple[str, ...]:
    if request.preferences.returning in (None, "minimal"):
        return ()
    needed = needed_columns(tree, table.primary_key)
    if not config.calls_unknown_names:
        _check_known(tree, _list_ordered(tree), table.columns if "*" in needed else needed)
    return needed


def _list_ordered(tree: ReadNode) -> list[str]:
    return [one.column.name for one in tree.order if one.relation is None]


def _check_known(tree: ReadNode, names: Iterable[str], columns: Collection[str]) -> None:
    """The rows of a source have just these columns; another name would be taken for a function of the row."""
    for name in names:
        if name not in columns:
            raise errors.no_such_column(tree.alias, name)


def _computed_in(tree: ReadNode, names: Collection[str]) -> Mapping[str, ComputedColumn]:
    columns = [output.column for output in tree.outputs]
    columns += [one.column for one in tree.order if one.relation is None]
    columns += [one for condition in tree.conditions for one in condition.columns()]
    return {one.name: one.computed for one in columns if one.computed is not None and one.name in names}


def _tables_shown(tree: ReadNode, body: Body) -> frozenset[Name]:
    return frozenset() if body.kind == "none" else frozenset(tree.tables())


# Calls --------------------------------------------------------------------------------------------------


def _plan_function(schema: Schema, request: Request, config: RestConfig) -> Plan:
    is_post = request.method == "POST"
    pairs = _argument_pairs(request)
    keys = request.payload.keys if request.payload is not None else frozenset(name for name, _ in pairs)
    name = (request.schema, request.resource.name)
    function = find_function(schema, name, keys, request.content_type, is_post=is_post)
    check_rows(schema, function)
    tree = build_tree(schema, request, config, function.answer, from_source=True)
    body, chosen = _common(schema, request, config, function.answer, tree)
    preferences = request.preferences
    if preferences.max_affected is not None and preferences.is_strict and not function.returns_set:
        raise errors.max_affected_on_single()
    if request.method == "OPTIONS":
        return InfoPlan("OPTIONS,POST" if function.volatility == "v" else "OPTIONS,GET,HEAD,POST")
    gives_pairs = not is_post or request.content_type == media.FORM
    return CallPlan(
        tree=tree,
        body=body,
        media=chosen,
        preferences=replace(preferences, resolution=None, returning=None, missing=None),
        tables_read=frozenset(tree.tables()),
        function=function,
        parameters=_given_parameters(function, keys),
        arguments=_group_arguments(function, pairs) if gives_pairs else None,
        payload=request.payload,
        returning=(returning := _needed_of_call(tree, config)),
        computed=_computed_in(tree, returning),
        names_bare=tree.table is None and not config.calls_unknown_names,
        read_only=not is_post or function.volatility != "v",
        is_head=request.is_head,
    )


def _argument_pairs(request: Request) -> tuple[tuple[str, str], ...]:
    if request.payload is not None:
        return request.payload.arguments or ()
    return request.query.arguments


def _given_parameters(function: Function, keys: frozenset[str]) -> tuple[Parameter, ...]:
    """Parameters that are not given are left to their defaults; a single unnamed one takes the whole body."""
    if len(function.parameters) == 1 and not function.parameters[0].name:
        return function.parameters
    return tuple(one for one in function.parameters if one.name in keys)


def _group_arguments(function: Function, pairs: Iterable[tuple[str, str]]) -> Mapping[str, str | tuple[str, ...]]:
    """An argument given twice counts as it was given last, but for a variadic one it is an element more."""
    variadic = {one.name for one in function.parameters if one.is_variadic}
    grouped: dict[str, str | tuple[str, ...]] = {}
    for name, value in pairs:
        earlier = grouped.get(name, ())
        grouped[name] = (*earlier, value) if name in variadic and isinstance(earlier, tuple) else value
    return grouped


def _needed_of_call(tree: ReadNode, config: RestConfig) -> tuple[str, ...]:
    needed = needed_columns(tree, ())
    filtered = [column.name for condition in tree.conditions for column in condition.columns()]
    ordered = _list_ordered(tree)
    if needed == ("*",) or not needed:
        if tree.table is not None and not config.calls_unknown_names:
            _check_known(tree, (*filtered, *ordered), tree.table.columns)
        return needed
    return tuple(dict.fromkeys([*needed, *filtered, *ordered]))


def _list_functions(node: ReadNode) -> Iterator[UsedFunction]:
    for output in (*node.outputs, *node.spread_extras):
        yield from (_used(one) for one in (output.column.computed,) if one is not None)
    for term in (*node.order, *node.spread_order):
        yield from (_used(one) for one in (term.column.computed,) if one is not None)
    if node.relationship is not None and node.relationship.function is not None:
        yield UsedFunction(node.relationship.function, node.relationship.volatility)


def _used(computed: ComputedColumn) -> UsedFunction:
    return UsedFunction(computed.function, computed.volatility)
