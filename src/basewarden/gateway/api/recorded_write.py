"""A write over a project's own API: read the rows, store the intent, send the write, store the outcome.

There is no transaction over two requests. So the write goes out restricted to the rows that were read, and its response
returns every changed row whole, beside what the client asked to see.
"""

from collections.abc import Sequence

from basewarden.gateway.api.calls import write_call
from basewarden.gateway.api.deletes import write_delete
from basewarden.gateway.api.inserts import write_insert
from basewarden.gateway.api.journaled_request import UpstreamRefused
from basewarden.gateway.api.responses import choose_view, make_answer, pass_on
from basewarden.gateway.api.row_images import is_time_zone_free
from basewarden.gateway.api.tables import ApiTables
from basewarden.gateway.api.updates import write_update
from basewarden.gateway.api.upstream import Header, Upstream, UpstreamRequest
from basewarden.gateway.api.url_encoding import encode_path, encode_query
from basewarden.gateway.api.write import ApiWrite, ApiWriteResult
from basewarden.gateway.caller import Caller
from basewarden.gateway.errors import RollbackUnsupported
from basewarden.gateway.recording.attribution import make_session_caller, summarize_request
from basewarden.gateway.recording.capturable import check_table, no_such_table, own_time_zone, tables_not_listed
from basewarden.gateway.recording.reviewing import WriteRecorder
from basewarden.gateway.rest import RestCall, RestResult
from basewarden.journal import WriteEntry
from pgrest import (
    PgrestError,
    Request,
    RestConfig,
    Schema,
    SelectField,
    SelectItem,
    Table,
    bad_preferences,
    chooses_rows,
    column_not_found,
    plan_request,
    split_query,
)

_BAD_PREFERENCES = "PGRST122"
_RELATIONSHIP_UNKNOWN = ("PGRST200", "PGRST201")


async def handle_write(
    upstream: Upstream, schema: Schema | None, request: Request, caller: Caller, call: RestCall, recorder: WriteRecorder
) -> RestResult:
    """`request` is `call`, parsed, and within the caller's limits already.

    Raises AppError or PgrestError; then nothing was changed, but after OutcomeUnknown and PartlyWritten. Raises
    SnapshotStale, with nothing changed, when the table has other columns than the snapshot.
    """
    check_rollback(request, call)
    try:
        if request.resource.kind == "function":
            return await _call(upstream, request, caller, call, recorder)
        write = make_api_write(upstream, schema, request, caller, call, recorder)
        result = await _write(write)
    except UpstreamRefused as refused:
        return RestResult(pass_on(request, refused.answer))
    response = make_answer(request, write.table, write.view, result.answer, result.rows)
    return RestResult(response, result.session_id, result.write_id)


def check_rollback(request: Request, call: RestCall) -> None:
    """Raises RollbackUnsupported: most projects ignore the preference, and write."""
    if request.preferences.tx == "rollback" or "tx=rollback" in list_preferences(call):
        raise RollbackUnsupported(
            hint="Remove Prefer: tx=rollback and undo the write afterwards, or add a Postgres connection string."
        )


def make_api_write(
    upstream: Upstream, schema: Schema | None, request: Request, caller: Caller, call: RestCall, recorder: WriteRecorder
) -> ApiWrite:
    if schema is None:
        raise tables_not_listed()
    table = find_table(schema, request)
    _check_names(schema, request)
    preferences = request.preferences
    if preferences.is_strict and preferences.invalid:
        raise bad_preferences(preferences.invalid)
    if preferences.timezone is not None and not is_time_zone_free(table):
        raise own_time_zone()
    query = [pair for pair in split_query(call.query) if pair[0] != "select"]
    return ApiWrite(
        api=ApiTables(upstream, schema),
        table=table,
        request=request,
        view=choose_view(request, call.query, table),
        body=call.body,
        content_type=find_header(call, b"content-type") or "application/json",
        query=tuple(query),
        filters=tuple(pair for pair in query if chooses_rows(pair[0])),
        caller=make_session_caller(caller, call, capture="representation"),
        summary=summarize_request(call),
        recorder=recorder,
        max_rows=caller.max_rows,
        policy=caller.policy,
        is_reviewed=caller.is_reviewed,
        is_exact=caller.review is not None,
    )


def _check_names(schema: Schema, request: Request) -> None:
    """A name that is no column may be a function, which may do anything within the write. Raises PgrestError."""
    config = RestConfig(schemas=schema.exposed, aggregates_enabled=True, plan_enabled=True, calls_unknown_names=False)
    try:
        plan_request(schema, request, config)
    except PgrestError as error:
        table = schema.find_table(request.schema, request.resource.name)
        if error.code not in _RELATIONSHIP_UNKNOWN or table is None or not _names_columns(schema, request, table):
            raise


def _names_columns(schema: Schema, request: Request, table: Table) -> bool:
    """The project may know a relationship under an unlisted name; all else must be columns of known tables."""
    query = request.query
    if query.logic or any(one.path or one.filter.field.name not in table.columns for one in query.filters):
        return False
    if any(
        path or term.relation or term.field.name not in table.columns for path, terms in query.orders for term in terms
    ):
        return False
    return _selects_columns(schema, request.schema, table, query.select)


def _selects_columns(schema: Schema, space: str, table: Table, items: Sequence[SelectItem]) -> bool:
    for item in items:
        if isinstance(item, SelectField):
            is_known = item.field.name == "*" or item.field.name in table.columns
        else:
            target = schema.find_table(space, item.name)
            is_known = target is not None and _selects_columns(schema, space, target, item.items)
        if not is_known:
            return False
    return True


def find_table(schema: Schema, request: Request) -> Table:
    table = schema.find_table(request.schema, request.resource.name)
    if table is None:
        raise no_such_table(request.resource.name)
    check_table(table)
    keys = request.payload.keys if request.payload is not None else frozenset()
    for name in sorted(keys.difference(table.columns)):
        raise column_not_found(table.name, name)
    return table


async def _write(write: ApiWrite) -> ApiWriteResult:
    run = {"PATCH": write_update, "DELETE": write_delete}.get(write.request.method, write_insert)
    try:
        return await run(write)
    except UpstreamRefused as refused:
        if refused.code != _BAD_PREFERENCES:
            raise
    return await run(write.uncapped())  # PostgREST 12.0 and 12.1 are strict, and know no max-affected


async def _call(
    upstream: Upstream, request: Request, caller: Caller, call: RestCall, recorder: WriteRecorder
) -> RestResult:
    entry = WriteEntry(
        caller=make_session_caller(caller, call, capture="representation"),
        xid=None,
        verb="call",
        schema=request.schema,
        table=request.resource.name,
        summary=summarize_request(call),
        changes=(),
    )
    answer, recorded = await write_call(upstream, _make_call(call, request, caller), entry, recorder)
    return RestResult(pass_on(request, answer), recorded.session_id, recorded.write_id)


def _make_call(call: RestCall, request: Request, caller: Caller) -> UpstreamRequest:
    """As the client sent it; but it is to be committed, whatever the project does when nothing is said."""
    preferences = [*(part for part in list_preferences(call) if part != "tx=commit"), "tx=commit"]
    named = ((name, find_header(call, name.encode())) for name in ("accept", "content-type"))
    headers: list[Header] = [(name, value) for name, value in named if value is not None]
    headers += [("content-profile", request.schema), ("prefer", ",".join(preferences))]
    return UpstreamRequest(
        call.method, encode_path(request), encode_query(caller, call.query), tuple(headers), call.body
    )


def list_preferences(call: RestCall) -> list[str]:
    values = (value.decode("latin-1") for name, value in call.headers if name == b"prefer")
    return [part for value in values for one in value.split(",") if (part := one.strip())]


def find_header(call: RestCall, wanted: bytes) -> str | None:
    return next((value.decode("latin-1") for name, value in call.headers if name == wanted), None)
