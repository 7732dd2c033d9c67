"""One request to a connection's data: request -> plan -> policy -> statement -> run + capture -> journal -> answer."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar
from urllib.parse import unquote_plus
from uuid import UUID

from basewarden.core.tracing import span
from basewarden.errors import AppError
from basewarden.gateway.caller import Caller
from basewarden.gateway.concealment import conceal
from basewarden.gateway.direct.capture import (
    SETTINGS,
    SnapshotStale,
    WriteContext,
    WriteOutcome,
    can_repeat_write,
    capture_write,
    repeat_write,
)
from basewarden.gateway.errors import WriteConflict, WriteTooLarge
from basewarden.gateway.policy import check_head, check_plan, visible_schema_for
from basewarden.gateway.projects import Project
from basewarden.gateway.rest import RestCall, RestResult
from basewarden.journal import Recorder, SessionCaller, WriteEntry
from pgrest import (
    CallPlan,
    DatabaseError,
    DatabasePlan,
    DbConnection,
    InfoPlan,
    NarrowedSchema,
    OpenApiPlan,
    Payload,
    PgrestError,
    PlanTemplate,
    ReadPlan,
    Request,
    RequestShape,
    Schema,
    Script,
    Statement,
    cut_texts,
    describe_schema,
    is_rolled_back,
    make_info_response,
    make_openapi_response,
    make_response,
    make_script,
    make_template,
    may_run_code,
    parse_head,
    plan_request,
    read_body,
    reset_and_commit,
    roll_back,
    run_again,
    run_read,
    session_settings,
    shape_request,
    verify_result,
)

MAX_SUMMARY = 500
_COMMIT = Statement("COMMIT")
_NO_ROWS = Payload(b"[]")
T = TypeVar("T")
MOST_TRIES = 8  # a migration may have many steps
_MOST_DEADLOCKS = 3
_DEADLOCK = "40P01"
_TOO_LARGE = "answer_too_large"
# Classes 08 and 57: the connection went away. Whether the COMMIT before it counted, only the database knows.
_OUTCOME_UNKNOWN = ("08", "57")
_OUTPUT_SETTINGS = frozenset(
    {"timezone", "datestyle", "intervalstyle", "extra_float_digits", "bytea_output", "lc_monetary"}
    | {"quote_all_identifiers"}
)


class DirectBackend:
    """The direct backend."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def check(self, project: Project, caller: Caller, call: RestCall) -> None:
        """Raises what `handle` would refuse whatever the body is, before that is read."""
        await self._on_snapshot(project, caller, call, partial(self._check_head, project, caller, call))

    async def handle(self, project: Project, caller: Caller, call: RestCall) -> RestResult:
        """Raises PgrestError, DatabaseError or AppError; then nothing was changed."""
        return await self._on_snapshot(project, caller, call, partial(self._go, project, caller, call))

    async def _on_snapshot(
        self, project: Project, caller: Caller, call: RestCall, work: Callable[[Schema], Awaitable[T]]
    ) -> T:
        """An error says no more than the caller may know. The first try is here: each call around it costs."""
        schema = None
        try:
            schema = await project.schema()
            try:
                return await work(schema)
            except (SnapshotStale, DatabaseError, PgrestError) as error:
                return await self._try_again(project, schema, work, error)
        except (DatabaseError, PgrestError, AppError) as error:
            narrowed = None if schema is None else _narrow(project, caller, schema)
            told = conceal(error, narrowed, call.sent)
            if told is error:
                raise
            raise told from error

    async def _try_again(
        self, project: Project, schema: Schema, work: Callable[[Schema], Awaitable[T]], error: Exception
    ) -> T:
        """What an outdated snapshot may have spoiled is done again on a fresh one, and so is what lost a deadlock.

        The deadlock may be with a migration: rows are locked before they are written, which takes the table's lock in
        two steps.
        """
        deadlocks = 0
        for _ in range(MOST_TRIES - 1):
            if isinstance(error, SnapshotStale):
                schema = await project.reload_schema()
            elif isinstance(error, DatabaseError) and error.sqlstate == _DEADLOCK:
                deadlocks += 1
                if deadlocks >= _MOST_DEADLOCKS:
                    raise error
                schema = await project.schema()
            elif isinstance(error, DatabaseError | PgrestError) and await project.is_schema_changed(schema, error):
                schema = await project.schema()
            else:
                raise error
            try:
                return await work(schema)
            except (SnapshotStale, DatabaseError, PgrestError) as again:
                error = again
        raise WriteConflict if isinstance(error, SnapshotStale) else error

    async def _check_head(self, project: Project, caller: Caller, call: RestCall, schema: Schema) -> None:
        head = _parse_head(project, caller, call, schema)
        if head.resource.kind == "table":  # which function is meant, the body tells
            plan = plan_request(_see(project, caller, schema), replace(head, payload=_NO_ROWS), project.config)
            if not isinstance(plan, InfoPlan | OpenApiPlan):
                check_plan(caller, plan)

    async def _go(self, project: Project, caller: Caller, call: RestCall, schema: Schema) -> RestResult:
        shaped = shape_request(call.method, call.path, call.query, call.headers, call.body) if call.may_repeat else None
        template = None if shaped is None else project.templates.find(shaped, schema, caller.tables)
        if shaped is not None and template is not None:
            answer = await self._repeat(project, caller, call, template, shaped)
            if answer is not None:
                return answer
        with span("plan"):
            head = _parse_head(project, caller, call, schema)
            request = await read_body(head, call.body)
            plan = plan_request(_see(project, caller, schema), request, project.config)
            if call.text_limit is not None and isinstance(plan, ReadPlan):
                plan = cut_texts(plan, call.text_limit)
        if isinstance(plan, InfoPlan):
            return RestResult(make_info_response(plan))
        if isinstance(plan, OpenApiPlan):
            return await self._describe(project, caller, schema, request, plan)
        with span("policy"):
            check_plan(caller, plan)
        if isinstance(plan, ReadPlan | CallPlan) and plan.read_only:
            if shaped is not None:
                project.templates.keep(shaped, make_template(schema, request, plan), caller.tables)
            script = make_script(plan, request, caller.session, schema=schema, config=project.config)
            return await self._read(project, caller, request, plan, script, request.query.canonical)
        if shaped is not None and template is None:
            template = make_template(schema, request, plan)
        return await self._write(project, caller, request, plan, call, schema, template, shaped)

    async def _describe(
        self, project: Project, caller: Caller, schema: Schema, request: Request, plan: OpenApiPlan
    ) -> RestResult:
        with span("describe"):
            body = await describe_schema(
                project.pool,
                plan,
                request,
                caller.session,
                schema=schema,
                config=project.config,
                reach=visible_schema_for(caller, schema),
                terms=project.terms_for(caller),
                holder=caller.key,
            )
        return RestResult(make_openapi_response(request, plan, body))

    async def _read(
        self,
        project: Project,
        caller: Caller,
        request: Request,
        plan: ReadPlan | CallPlan,
        script: Script,
        canonical: str,
    ) -> RestResult:
        with span("run"):
            async with project.acquire(caller) as connection:
                result = await run_read(connection, plan, script)
        return RestResult(make_response(request, plan, result, canonical))

    async def _repeat(
        self, project: Project, caller: Caller, call: RestCall, template: PlanTemplate, shaped: RequestShape
    ) -> RestResult | None:
        """None where it must be planned anew after all."""
        request, plan = template.request, template.plan
        check_plan(caller, plan, again=True)
        if isinstance(plan, ReadPlan | CallPlan):
            script = template.make_script(shaped, caller.session, project.config, call.headers)
            return await self._read(project, caller, request, plan, script, shaped.canonical)
        try:
            return await self._write(
                project, caller, request, plan, call, template.schema, template, shaped, again=True
            )
        except FastPathUnavailable:
            return None

    async def _write(
        self,
        project: Project,
        caller: Caller,
        request: Request,
        plan: DatabasePlan,
        call: RestCall,
        schema: Schema,
        template: PlanTemplate | None,
        shaped: RequestShape | None,
        *,
        again: bool = False,
    ) -> RestResult:
        """The journal's order: run and capture, store as pending, commit, mark.

        `again`: the plan is that of an earlier request of this shape.
        """
        settings: Sequence[Statement]
        make_settings = partial(_make_settings, project, caller, request, plan, call, schema)
        if template is None:
            settings, runs_code = make_settings(), may_run_code(schema, plan, caller.db_role)
        else:
            settings = template.recall_prelude(caller.session, call.headers, make_settings)
            runs_code = template.may_run_code(caller.db_role)
        async with project.acquire(caller, writes=True) as connection:
            context = WriteContext(
                connection,
                schema,
                settings,
                caller.db_role,
                caller.max_rows,
                tables=caller.tables,
                runs_code=runs_code,
                sets_output=_sets_output(request, schema, caller.db_role),
                template=template,
                shaped=shaped,
            )
            can_repeat = template is not None and can_repeat_write(context, plan)
            if again and not can_repeat:
                raise FastPathUnavailable
            with span("capture"):
                capture = partial(repeat_write if again else capture_write, context, plan)
                outcome = await _capture(connection, capture)
            if outcome is None:
                raise FastPathUnavailable
            verify_result(plan, outcome.result)
            response = make_response(request, plan, outcome.result)
            if is_rolled_back(request, project.config):
                await connection.run([Statement("SET CONSTRAINTS ALL IMMEDIATE"), *roll_back(connection)])
                return RestResult(response)
            with span("journal"):
                recorded = await self._recorder.record(_make_entry(caller, plan, outcome, call))
            with span("commit"):
                await commit_recorded(connection, self._recorder, recorded.write_id, resets=runs_code)
        if can_repeat and template is not None and shaped is not None and not again:
            project.templates.keep(shaped, template, caller.tables)
        return RestResult(response, recorded.session_id)


async def _capture(
    connection: DbConnection, capture: Callable[[], Awaitable[WriteOutcome | None]]
) -> WriteOutcome | None:
    """Raises WriteTooLarge where the rows before and after, cascades among them, pass what one request may read."""
    try:
        return await run_again(connection, capture)
    except PgrestError as error:
        if error.code != _TOO_LARGE:
            raise
        raise WriteTooLarge(details=error.details, hint="Change fewer rows in one write.") from error


class FastPathUnavailable(Exception):
    """A write of a shape that usually takes one round trip takes more this time."""


async def commit_recorded(connection: DbConnection, recorder: Recorder, write_id: UUID, *, resets: bool = True) -> None:
    """COMMIT of a write that is journaled as pending. One whose outcome is unknown stays so for the settler.

    `resets`: somebody's code may have run, and have left something in the session.
    """
    try:
        *_, rows = await connection.run(reset_and_commit(connection) if resets else [_COMMIT])
    except DatabaseError as error:
        if not error.sqlstate.startswith(_OUTCOME_UNKNOWN):
            recorder.mark(write_id, "aborted")
        raise
    recorder.mark(write_id, "committed" if rows.tag == "COMMIT" else "aborted")


def _parse_head(project: Project, caller: Caller, call: RestCall, schema: Schema) -> Request:
    head = parse_head(
        call.method,
        call.path,
        call.query,
        call.headers,
        config=project.config,
        is_timezone=schema.is_timezone,
        body_bytes=len(call.body),
        raw_path=call.raw_path,
    )
    check_head(caller, head, schema)
    return head


def _narrow(project: Project, caller: Caller, schema: Schema) -> NarrowedSchema | None:
    return None if caller.tables is None else project.narrowed.narrow(schema, caller.tables)


def _see(project: Project, caller: Caller, schema: Schema) -> Schema:
    """What the caller's names are looked for in."""
    return _narrow(project, caller, schema) or schema


def _sets_output(request: Request, schema: Schema, role: str | None) -> bool:
    found = schema.roles.get(role or "")
    names = [name.lower() for name, _ in found.settings] if found is not None else []
    return request.preferences.timezone is not None or not _OUTPUT_SETTINGS.isdisjoint(names)


def _make_settings(
    project: Project, caller: Caller, request: Request, plan: DatabasePlan, call: RestCall, schema: Schema
) -> tuple[Statement, ...]:
    settings = session_settings(
        caller.session,
        request,
        project.config,
        schema=schema,
        function_settings=_function_settings(plan),
        headers=call.headers,
        instead=SETTINGS,
    )
    return (settings,)


def _function_settings(plan: DatabasePlan) -> tuple[tuple[str, str], ...]:
    return plan.function.settings if isinstance(plan, CallPlan) else ()


def _make_entry(caller: Caller, plan: DatabasePlan, outcome: WriteOutcome, call: RestCall) -> WriteEntry:
    schema, name = plan.function.qualified if isinstance(plan, CallPlan) else plan.table.qualified
    query = f"?{unquote_plus(call.query.decode('latin-1'))}" if call.query else ""
    return WriteEntry(
        caller=SessionCaller(
            connection_id=caller.connection.id,
            kind=caller.kind,
            caller_id=caller.id,
            caller_name=caller.name,
            label=call.label,
            max_writes=caller.max_writes,
        ),
        xid=outcome.xid,
        verb=plan.kind,
        schema=schema,
        table=name,
        summary=f"{call.method} {call.path}{query}".replace("\0", "")[:MAX_SUMMARY],
        changes=outcome.changes,
        unseen=outcome.unseen,
    )
