"""Lists the columns that a request to a project's API names, by a plan where the schema is known."""

from collections.abc import Iterable, Iterator

from pgrest import (
    ALL_COLUMNS,
    ColumnName,
    InfoPlan,
    Name,
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


def list_requested_columns(schema: Schema | None, request: Request, config: RestConfig) -> frozenset[ColumnName]:
    if request.resource.kind == "root":
        return frozenset()
    if schema is not None:
        try:
            plan = plan_request(schema, request, config)
        except PgrestError:
            return frozenset(_list_sent(request))
        return frozenset() if isinstance(plan, InfoPlan | OpenApiPlan) else list_named_columns(plan)
    return frozenset(_list_sent(request))


def _list_sent(request: Request) -> Iterator[ColumnName]:
    """A relation is taken for the table of that name: an alias or a foreign key in its place is not known here."""
    root = (request.schema, request.resource.name)
    if not request.is_head:
        yield from _list_selected(request.query.select, root, request.schema)
    for path, name in request.query.list_deciding_fields():
        yield ((request.schema, path[-1]) if path else root), name


def _list_selected(items: Iterable[SelectItem], table: Name, schema: str) -> Iterator[ColumnName]:
    for item in items:
        if isinstance(item, SelectRelation):
            yield from _list_selected(item.items, (schema, item.name), schema)
        elif item.field.name != ALL_COLUMNS or item.aggregate is None:
            yield from ((table, name) for name in item.field.list_names())
