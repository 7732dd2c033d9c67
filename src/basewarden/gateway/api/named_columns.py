"""Lists the columns that a request to a project's API names, by a plan where the schema is known."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from pgrest import (
    ALL_COLUMNS,
    ColumnName,
    InfoPlan,
    Name,
    NamedColumns,
    OpenApiPlan,
    PgrestError,
    Request,
    RestConfig,
    Schema,
    SelectItem,
    SelectRelation,
    list_named_columns,
    plan_request,
)

_NONE = NamedColumns(frozenset())


def list_requested_columns(schema: Schema | None, request: Request, config: RestConfig) -> NamedColumns:
    if request.resource.kind == "root":
        return _NONE
    if schema is not None:
        with suppress(PgrestError):
            plan = plan_request(schema, request, config)
            return _NONE if isinstance(plan, InfoPlan | OpenApiPlan) else list_named_columns(plan)
    shown = frozenset(_list_sent_outputs(request))
    return NamedColumns(shown.union(_list_sent_conditions(request)), shown)


def _list_sent_outputs(request: Request) -> Iterator[ColumnName]:
    """A relation is taken for the table of that name: an alias or a foreign key in its place is not known here."""
    if request.is_head:
        return iter(())
    return _list_selected(request.query.select, (request.schema, request.resource.name), request.schema)


def _list_sent_conditions(request: Request) -> Iterator[ColumnName]:
    for path, name in request.query.list_deciding_fields():
        yield (request.schema, path[-1] if path else request.resource.name), name


def _list_selected(items: Iterable[SelectItem], table: Name, schema: str) -> Iterator[ColumnName]:
    for item in items:
        if isinstance(item, SelectRelation):
            yield from _list_selected(item.items, (schema, item.name), schema)
        elif item.field.name != ALL_COLUMNS or item.aggregate is None:
            yield from ((table, name) for name in item.field.list_names())
