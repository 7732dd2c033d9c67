"""One request to a database: request -> plan -> policy -> run and capture -> journal -> commit -> response."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar
from uuid import UUID

import msgspec

from basewarden.connections import GuardOptions
from basewarden.core.tracing import span, traced
from basewarden.errors import AppError
from basewarden.gateway.caller import Caller
from basewarden.gateway.concealment import conceal
from basewarden.gateway.direct.capture import capture_write
from basewarden.gateway.direct.context import WriteContext, WriteOutcome
from basewarden.gateway.errors import WriteTooLarge
from basewarden.gateway.guarding import EgressGuard, GuardedRequest, find_reads
from basewarden.gateway.policy import check_plan, find_visible_schema
from basewarden.gateway.projects import Project
from basewarden.gateway.read_budget import bound_read
from basewarden.gateway.recording.attribution import make_session_caller, summarize_request
from basewarden.gateway.recording.reviewing import HeldForApproval, ReviewedRecorder, WriteRecorder
from basewarden.gateway.recording.schema_retry import SnapshotStale, run_on_current_schema
from basewarden.gateway.recording.sqlstates import CONNECTION_LOST, DEADLOCK_DETECTED
from basewarden.gateway.rest import RestCall, RestResult
from basewarden.gateway.row_counting import count_rows
from basewarden.gateway.running import hold_stops
from basewarden.gateway.visibility import CallerScope
from basewarden.journal import Recorder, WriteEntry
from basewarden.policy import GuardRules, ReadCounter
from pgrest import (
    CallPlan,
    ColumnName,
    DatabaseError,
    DatabasePlan,
    DbConnection,
    InfoPlan,
    OpenApiPlan,
    Payload,
    PgrestError,
    Prepared,
    ReadPlan,
    Request,
    Result,
    Schema,
    Statement,
    cut_texts,
    describe_schema,
    is_rolled_back,
    make_info_response,
    make_openapi_response,
    make_response,
    plan_request,
    prepare,
    read_head,
    reset_and_commit,
    roll_back,
    run_again,
    run_read,
    session_settings,
    verify_result,
)

MOST_TRIES = 8  # a migration may have many steps
_MOST_DEADLOCKS = 3
_NO_ROWS = Payload(b"[]")
_COMMIT = Statement("COMMIT")
_TOO_LARGE = "answer_too_large"
# A process that was frozen in the middle of a write must not hold the rows' locks for ever.
_WRITE_SETTINGS = {"idle_in_transaction_session_timeout": "60s"}
_OUTPUT_SETTINGS = frozenset(
    {"timezone", "datestyle", "intervalstyle", "extra_float_digits", "bytea_output", "lc_monetary"}
    | {"quote_all_identifiers"}
)
T = TypeVar("T")


class DirectBackend:
    """Handles requests to projects with a Postgres connection string."""

    def __init__(self, recorder: Recorder, reads: ReadCounter, guard: EgressGuard) -> None:
        self._recorder = recorder
        self._reads = reads
        self._guard = guard

    async def check(self, project: Project, caller: Caller, call: RestCall) -> None:
        """Raises what `handle` would refuse whatever the body is, before the body is read."""
        await _concealing(project, caller, call, partial(_check_call, project, caller, call))

    def handle(self, project: Project, caller: Caller, call: RestCall) -> Awaitable[RestResult]:
        """Raises PgrestError, DatabaseError or AppError; then nothing was changed."""
        return _concealing(project, caller, call, partial(self._answer, project, caller, call, set()))

    async def add_reads(self, project: Project, caller: Caller, call: RestCall) -> None:
        """Stores what the answer to a request shows, before an answer that is there already is shown.

        Raises PgrestError or DatabaseError where the request is none any more, and Forbidden where it is refused now.
        """
        schema = await project.schema()
        caller = await project.apply_column_rules(caller, schema)
        scope = CallerScope(caller, project.narrowed)
        prepared = await prepare(schema, call, project.config, project.templates, scope)
        guard = caller.guard
        if guard is not None and prepared.template is not None:
            rules = await _find_rules(project, guard, schema)
            await self._guard.add_unknown(caller, GuardedRequest(rules, _find_reads(rules, prepared)))

    async def _answer(
        self, project: Project, caller: Caller, call: RestCall, added: set[ColumnName], schema: Schema
    ) -> RestResult:
        """`added` is what earlier tries of the request were the first to read."""
        if caller.policy.columns:
            caller = await project.apply_column_rules(caller, schema)
        scope = CallerScope(caller, project.narrowed)
        prepared = await traced("plan", prepare(schema, call, project.config, project.templates, scope))
        plan = prepared.plan
        if isinstance(plan, InfoPlan):
            return RestResult(make_info_response(plan))
        if isinstance(plan, OpenApiPlan):
            return await _describe(project, caller, schema, prepared.request, plan)
        with span("policy"):
            check_plan(caller.policy, plan, again=prepared.is_repeated)
        guarded = None
        if caller.guard is not None:
            rules = await _find_rules(project, caller.guard, schema)
            guarded = GuardedRequest(rules, _find_reads(rules, prepared), added)
            if not (plan.read_only and guarded.is_known(caller)):
                await self._admit(caller, guarded, plan)
        if isinstance(plan, ReadPlan | CallPlan) and plan.read_only:
            if caller.max_read_rows is not None:
                return await self._read_counted(project, caller, prepared, caller.max_read_rows)
            return await _read(project, caller, call, prepared, plan)
        if guarded is None:
            return await self._write(project, caller, call, prepared, plan, None)
        caller = await self._guard.hold(caller, guarded)
        try:
            return await self._write(project, caller, call, prepared, plan, guarded)
        except DatabaseError as error:
            await self._guard.add_error(caller, guarded, plan, error.fields)
            raise

    async def _admit(self, caller: Caller, guarded: GuardedRequest, plan: DatabasePlan) -> None:
        """Raises EgressBlocked. What can be read at all is stored first: an error, too, may show it."""
        if caller.reads:
            await self._guard.check_tables(caller, guarded, plan.tables_written)
        await self._guard.add_unknown(caller, guarded)

    async def _read_counted(self, project: Project, caller: Caller, prepared: Prepared, limit: int) -> RestResult:
        left = await self._reads.find_left(caller.id, limit)
        prepared = await prepared.replan()
        plan = prepared.plan
        assert isinstance(plan, ReadPlan | CallPlan)
        if isinstance(plan, ReadPlan):
            plan = bound_read(plan, left)
        prepared = msgspec.structs.replace(prepared, plan=plan)
        with span("run"):
            async with project.acquire(caller) as connection:
                result = await run_read(connection, plan, prepared.make_script(caller.session))
        await self._count(caller, prepared, plan, result)
        return RestResult(make_response(prepared.request, plan, result, prepared.canonical_query))

    async def _count(self, caller: Caller, prepared: Prepared, plan: DatabasePlan, result: Result) -> None:
        """Counts the rows that an answer shows, a write's too. Raises BudgetExceeded beyond what is left."""
        is_head = isinstance(plan, ReadPlan | CallPlan) and plan.is_head
        if caller.max_read_rows is None or is_head or plan.body.kind == "none":
            return
        rows = result.page_total
        if plan.tree.embeds:
            rows = await count_rows(prepared.request, result.body, plan.media.mime())
        await self._reads.take(caller.id, caller.max_read_rows, rows)

    async def _write(
        self,
        project: Project,
        caller: Caller,
        call: RestCall,
        prepared: Prepared,
        plan: DatabasePlan,
        guarded: GuardedRequest | None,
    ) -> RestResult:
        """Capture -> respond -> record -> commit. An error before the COMMIT leaves nothing behind."""
        async with project.acquire(caller, writes=True) as connection:
            context = _make_context(connection, project, caller, call, prepared, plan)
            with span("capture"):
                outcome = await _capture(context, prepared, plan)
            verify_result(plan, outcome.result)
            if guarded is not None:
                await self._guard.check_changes(caller, guarded, outcome.changes, outcome.uncaptured)
            rolls_back = is_rolled_back(prepared.request, project.config)
            if rolls_back or not caller.must_propose:  # of what is held back, no row is shown
                await self._count(caller, prepared, plan, outcome.result)
            response = make_response(prepared.request, plan, outcome.result)
            if rolls_back:
                await connection.run([Statement("SET CONSTRAINTS ALL IMMEDIATE"), *roll_back(connection)])
                return RestResult(response)
            hold_stops()
            with span("journal"):
                recorder = self._recorder if not caller.is_reviewed else self._review(caller, prepared)
                recorded = await recorder.record(_make_entry(caller, plan, outcome, call))
            with span("commit"):
                await commit_recorded(connection, recorder, recorded.write_id, resets=context.runs_code)
        if outcome.is_repeatable:
            prepared.keep()
        return RestResult(response, recorded.session_id, recorded.write_id)

    def _review(self, caller: Caller, prepared: Prepared) -> WriteRecorder:
        """Of a repeated request, the values are another's and the names its own."""
        payload = prepared.request.payload
        named = frozenset[str]() if payload is None else payload.keys
        return ReviewedRecorder(self._recorder, caller.review or HeldForApproval(named, after_reading=caller.holding))


async def _find_rules(project: Project, guard: GuardOptions, schema: Schema) -> GuardRules:
    return project.guard.find(guard, schema) or await project.guard.load(guard, schema)


def _find_reads(rules: GuardRules, prepared: Prepared) -> frozenset[ColumnName]:
    assert prepared.template is not None
    return prepared.template.conclude(rules, find_reads)


async def _concealing(project: Project, caller: Caller, call: RestCall, work: Callable[[Schema], Awaitable[T]]) -> T:
    """The result of `work`. An error says no more than the caller may know."""
    schema = None
    try:
        schema = await project.schema()
        return await run_on_current_schema(schema, work, _Renewal(project), tries=MOST_TRIES)
    except (DatabaseError, PgrestError, AppError) as error:
        names = caller.policy.names
        narrowed = None if schema is None or names is None else project.narrowed.narrow(schema, names)
        concealed = conceal(error, narrowed, call.sent)
        if concealed is error:
            raise
        raise concealed from error


class _Renewal:
    """Decides after an error whether a request runs once more: an outdated snapshot or a deadlock may have caused it.

    The deadlock may be with a migration: rows are locked before they are written, which takes the table's lock in two
    steps.
    """

    __slots__ = ("_deadlocks", "_project")

    def __init__(self, project: Project) -> None:
        self._project = project
        self._deadlocks = 0

    async def __call__(self, schema: Schema, error: Exception) -> Schema:
        if isinstance(error, SnapshotStale):
            return await self._project.reload_schema()
        if isinstance(error, DatabaseError) and error.sqlstate == DEADLOCK_DETECTED:
            self._deadlocks += 1
            may_repeat = self._deadlocks < _MOST_DEADLOCKS
        else:
            may_repeat = isinstance(error, DatabaseError | PgrestError) and await self._project.is_schema_changed(
                schema, error
            )
        if not may_repeat:
            raise error
        return await self._project.schema()


async def _check_call(project: Project, caller: Caller, call: RestCall, schema: Schema) -> None:
    caller = await project.apply_column_rules(caller, schema)
    scope = CallerScope(caller, project.narrowed)
    head = read_head(schema, call, project.config)
    scope.check_head(head, schema)
    if head.resource.kind == "table":  # which function is meant depends on the body
        plan = plan_request(scope.narrow(schema), replace(head, payload=_NO_ROWS), project.config)
        if not isinstance(plan, InfoPlan | OpenApiPlan):
            check_plan(caller.policy, plan)


async def _describe(
    project: Project, caller: Caller, schema: Schema, request: Request, plan: OpenApiPlan
) -> RestResult:
    with span("describe"):
        body = await describe_schema(
            project.pool,
            plan,
            request,
            caller.session,
            schema=schema,
            config=project.config,
            reach=find_visible_schema(caller.policy, schema),
            terms=project.terms_for(caller),
            holder=caller.key,
        )
    return RestResult(make_openapi_response(request, plan, body))


async def _read(
    project: Project, caller: Caller, call: RestCall, prepared: Prepared, plan: ReadPlan | CallPlan
) -> RestResult:
    if call.text_limit is not None and isinstance(plan, ReadPlan):
        plan = cut_texts(plan, call.text_limit)
        prepared = msgspec.structs.replace(prepared, plan=plan)
    prepared.keep()
    script = prepared.make_script(caller.session)
    with span("run"):
        async with project.acquire(caller) as connection:
            result = await run_read(connection, plan, script)
    return RestResult(make_response(prepared.request, plan, result, prepared.canonical_query))


# Writes ---------------------------------------------------------------------------------------------------


def _make_context(
    connection: DbConnection, project: Project, caller: Caller, call: RestCall, prepared: Prepared, plan: DatabasePlan
) -> WriteContext:
    template = prepared.template
    assert template is not None
    make_settings = partial(_make_settings, project, caller, call, prepared, plan)
    return WriteContext(
        connection,
        prepared.schema,
        template.recall_prelude(caller.session, call.headers, make_settings),
        caller.db_role,
        caller.max_rows,
        policy=caller.policy,
        runs_code=template.may_run_code(caller.db_role),
        sets_output=_sets_output(prepared.request, prepared.schema, caller.db_role),
        template=template,
        shape=prepared.shape,
    )


def _make_settings(
    project: Project, caller: Caller, call: RestCall, prepared: Prepared, plan: DatabasePlan
) -> tuple[Statement, ...]:
    settings = session_settings(
        caller.session,
        prepared.request,
        project.config,
        schema=prepared.schema,
        function_settings=plan.function.settings if isinstance(plan, CallPlan) else (),
        headers=call.headers,
        instead=_WRITE_SETTINGS,
    )
    return (settings,)


def _sets_output(request: Request, schema: Schema, role: str | None) -> bool:
    """Whether the caller's session may write dates and numbers in another form than the login role's."""
    found = schema.roles.get(role or "")
    names = [name.lower() for name, _ in found.settings] if found is not None else []
    return request.preferences.timezone is not None or not _OUTPUT_SETTINGS.isdisjoint(names)


async def _capture(context: WriteContext, prepared: Prepared, plan: DatabasePlan) -> WriteOutcome:
    """Raises WriteTooLarge where the rows before and after, with cascades, exceed what one request may read."""
    capture = partial(capture_write, context, plan, _replanning(prepared) if prepared.is_repeated else None)
    try:
        return await run_again(context.connection, capture)
    except PgrestError as error:
        if error.code != _TOO_LARGE:
            raise
        raise WriteTooLarge(details=error.details, hint="Change fewer rows in one write.") from error


def _replanning(prepared: Prepared) -> Callable[[], Awaitable[DatabasePlan]]:
    async def replan() -> DatabasePlan:
        plan = (await prepared.replan()).plan
        assert not isinstance(plan, InfoPlan | OpenApiPlan)
        return plan

    return replan


def _make_entry(caller: Caller, plan: DatabasePlan, outcome: WriteOutcome, call: RestCall) -> WriteEntry:
    schema, name = plan.function.qualified if isinstance(plan, CallPlan) else plan.table.qualified
    return WriteEntry(
        caller=make_session_caller(caller, call),
        xid=outcome.xid,
        verb=plan.kind,
        schema=schema,
        table=name,
        summary=summarize_request(call),
        changes=outcome.changes,
        uncaptured=outcome.uncaptured,
    )


async def commit_recorded(
    connection: DbConnection, recorder: WriteRecorder, write_id: UUID, *, resets: bool = True
) -> None:
    """COMMIT of a write that is journaled as pending. One whose outcome is unknown stays so for the reconciler.

    `resets`: code of the project's may have run, and have left something in the database session.
    """
    try:
        *_, rows = await connection.run(reset_and_commit(connection) if resets else [_COMMIT])
    except DatabaseError as error:
        if not error.sqlstate.startswith(CONNECTION_LOST):
            recorder.mark(write_id, "aborted")
        raise
    recorder.mark(write_id, "committed" if rows.tag == "COMMIT" else "aborted")
