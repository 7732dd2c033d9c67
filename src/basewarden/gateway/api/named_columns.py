"""Lists the columns that a request to a project's API names, by a plan where the schema is known."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from basewarden.connections.rest import is_postgrest_error
from basewarden.gateway.api.upstream_client import read_error_body
from pgrest import (
    ALL_COLUMNS,
    ColumnName,
    DatabaseErrorFields,
    InfoPlan,
    Name,
    NamedColumns,
    OpenApiPlan,
    PgrestError,
    Request,
    Response,
    RestConfig,
    Schema,
    SelectItem,
    SelectRelation,
    list_named_columns,
    list_reported_columns,
    plan_request,
)

_NONE = NamedColumns(frozenset())
_BAD_REQUEST = 400


def list_requested_columns(schema: Schema | None, request: Request, config: RestConfig) -> NamedColumns:
    if request.resource.kind == "root":
        return _NONE
    if schema is not None:
        with suppress(PgrestError):
            plan = plan_request(schema, request, config)
            return _NONE if isinstance(plan, InfoPlan | OpenApiPlan) else list_named_columns(plan)
    root = (request.schema, request.resource.name)
    shown = frozenset(_list_sent_outputs(request, root))
    tables = {root} if schema is None else {root, *schema.tables}
    unplaced = frozenset(name for table, name in shown if table not in tables)
    return NamedColumns(shown.union(_list_sent_conditions(request)), shown, unplaced=unplaced)


def list_refused_columns(schema: Schema | None, request: Request, config: RestConfig, answer: Response) -> NamedColumns:
    """What the answer to a write that the project refused shows of rows that were there."""
    body = read_error_body((), bytes(answer.body))
    if answer.status < _BAD_REQUEST or not is_postgrest_error(body) or not isinstance(body.get("details"), str):
        return _NONE
    root = (request.schema, request.resource.name)
    error = DatabaseErrorFields(body["code"], body["message"], body["details"], schema=root[0], table=root[1])
    if schema is not None:
        with suppress(PgrestError):
            plan = plan_request(schema, request, config)
            return _NONE if isinstance(plan, InfoPlan | OpenApiPlan) else list_reported_columns(plan, error)
    return NamedColumns(frozenset({(root, ALL_COLUMNS)}), frozenset({(root, ALL_COLUMNS)}))


def _list_sent_outputs(request: Request, root: Name) -> Iterator[ColumnName]:
    """A relation is taken for the table of that name. It may be a foreign key or a function of the row as well."""
    return iter(()) if request.is_head else _list_selected(request.query.select, root, request.schema)


def _list_sent_conditions(request: Request) -> Iterator[ColumnName]:
    for path, name in request.query.list_deciding_fields():
        yield (request.schema, path[-1] if path else request.resource.name), name


def _list_selected(items: Iterable[SelectItem], table: Name, schema: str) -> Iterator[ColumnName]:
    for item in items:
        if isinstance(item, SelectRelation):
            yield from _list_selected(item.items, (schema, item.name), schema)
        elif item.field.name != ALL_COLUMNS or item.aggregate is None:
            yield from ((table, name) for name in item.field.list_names())
