"""One request to a connection's data: request -> plan -> policy -> statement -> run + capture -> journal -> answer."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus
from uuid import UUID

import msgspec

from basewarden.core.tracing import stage
from basewarden.gateway.caller import Caller
from basewarden.gateway.capture import SnapshotStale, WriteContext, WriteOutcome, capture_write
from basewarden.gateway.errors import CaptureRaced
from basewarden.gateway.policy import check_plan, check_question, tell_reach
from basewarden.gateway.projects import Project
from basewarden.gateway.reads import PreparedRead
from basewarden.journal import Recorder, SessionCaller, WriteEntry
from basewarden.pgrest import (
    CallPlan,
    Connection,
    DatabaseError,
    DatabasePlan,
    InfoPlan,
    OpenApiPlan,
    PgrestError,
    Plan,
    ReadPlan,
    Request,
    Response,
    Schema,
    Session,
    Statement,
    describe_schema,
    is_rolled_back,
    make_info_response,
    make_openapi_response,
    make_response,
    make_script,
    parse_request,
    plan_request,
    run_read,
    session_settings,
    verify_result,
)

MAX_SUMMARY = 500
MOST_TRIES = 3
# Classes 08 and 57: the connection went away. Whether the COMMIT before it counted, only the database knows.
_OUTCOME_UNKNOWN = ("08", "57")
_OUTPUT_SETTINGS = frozenset({"timezone", "datestyle", "intervalstyle", "extra_float_digits"})


@dataclass(frozen=True, slots=True)
class RestCall:
    """An HTTP request as the road takes it; `path` is what follows `/rest/v1`. `label` is the client's session name."""

    method: str
    path: str
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    label: str | None = None


@dataclass(frozen=True, slots=True)
class RestAnswer:
    response: Response
    session_id: UUID | None = None


class Road:
    """The direct backend."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def travel(self, project: Project, caller: Caller, call: RestCall) -> RestAnswer:
        """Raises PgrestError, DatabaseError or AppError; then nothing was changed."""
        schema = await project.schema()
        key = _read_key(caller, call)
        prepared = project.reads.find(key, schema) if key is not None else None
        if prepared is not None:
            return await self._read(project, caller, prepared)
        with stage("plan"):
            request = parse_request(
                call.method,
                call.path,
                call.query,
                call.headers,
                call.body,
                config=project.config,
                is_timezone=schema.is_timezone,
            )
            schema, plan = await _plan(project, schema, request)
        if isinstance(plan, InfoPlan):
            check_question(caller, request)
            return RestAnswer(make_info_response(plan))
        session = Session(caller.db_role, caller.claims)
        if isinstance(plan, OpenApiPlan):
            return await self._describe(project, caller, schema, request, plan)
        with stage("policy"):
            check_plan(caller, plan)
        if isinstance(plan, ReadPlan | CallPlan) and plan.read_only:
            script = make_script(plan, request, session, schema=schema, config=project.config)
            prepared = PreparedRead(schema, request, plan, script)
            if key is not None:
                project.reads.keep(key, prepared)
            return await self._read(project, caller, prepared)
        for _ in range(MOST_TRIES):
            try:
                return await self._write(project, caller, schema, request, plan, call)
            except SnapshotStale:
                schema = await project.reload_schema()
                plan = plan_request(schema, request, project.config)
                assert not isinstance(plan, InfoPlan | OpenApiPlan)
                check_plan(caller, plan)
        raise CaptureRaced

    async def _describe(
        self, project: Project, caller: Caller, schema: Schema, request: Request, plan: OpenApiPlan
    ) -> RestAnswer:
        with stage("describe"):
            body = await describe_schema(
                project.pool,
                plan,
                request,
                Session(caller.db_role, caller.claims),
                schema=schema,
                config=project.config,
                reach=tell_reach(caller, schema),
            )
        return RestAnswer(make_openapi_response(request, plan, body))

    async def _read(self, project: Project, caller: Caller, prepared: PreparedRead) -> RestAnswer:
        check_plan(caller, prepared.plan)
        with stage("run"):
            async with project.pool.acquire() as connection:
                result = await run_read(connection, prepared.plan, prepared.script)
        return RestAnswer(make_response(prepared.request, prepared.plan, result))

    async def _write(
        self, project: Project, caller: Caller, schema: Schema, request: Request, plan: DatabasePlan, call: RestCall
    ) -> RestAnswer:
        """The journal's order: run and capture, store as pending, commit, mark."""
        session = Session(caller.db_role, caller.claims)
        settings = session_settings(
            session, request, project.config, schema=schema, function_settings=_function_settings(plan)
        )
        async with project.pool.acquire() as connection:
            context = WriteContext(
                connection,
                schema,
                (settings,),
                caller.db_role,
                caller.max_rows,
                sets_output=_sets_output(request, schema, caller.db_role),
            )
            with stage("capture"):
                outcome = await capture_write(context, plan)
            verify_result(plan, outcome.result)
            response = make_response(request, plan, outcome.result)
            if is_rolled_back(request, project.config):
                await connection.run([Statement("SET CONSTRAINTS ALL IMMEDIATE"), Statement("ROLLBACK")])
                return RestAnswer(response)
            with stage("journal"):
                recorded = await self._recorder.record(_make_entry(caller, plan, outcome, call))
            with stage("commit"):
                await commit_recorded(connection, self._recorder, recorded.write_id)
        return RestAnswer(response, recorded.session_id)


def _read_key(caller: Caller, call: RestCall) -> Hashable | None:
    """All that a read's plan and settings depend on besides the snapshot; None for what has a body or may write."""
    if call.method not in ("GET", "HEAD") or call.body:
        return None
    who = (caller.kind, caller.id, caller.db_role, msgspec.json.encode(caller.claims))
    return (*who, call.method, call.path, call.query, tuple(call.headers))


async def commit_recorded(connection: Connection, recorder: Recorder, write_id: UUID) -> None:
    """COMMIT of a write that is journaled as pending. One whose outcome is unknown stays so for the settler."""
    try:
        (rows,) = await connection.run([Statement("COMMIT")])
    except DatabaseError as error:
        if not error.sqlstate.startswith(_OUTCOME_UNKNOWN):
            recorder.mark(write_id, "aborted")
        raise
    recorder.mark(write_id, "committed" if rows.tag == "COMMIT" else "aborted")


async def _plan(project: Project, schema: Schema, request: Request) -> tuple[Schema, Plan]:
    """A plan that a stale snapshot spoils is made once more on a fresh one."""
    try:
        return schema, plan_request(schema, request, project.config)
    except PgrestError as error:
        if not await project.is_schema_changed(schema, error):
            raise
    schema = await project.schema()
    return schema, plan_request(schema, request, project.config)


def _sets_output(request: Request, schema: Schema, role: str | None) -> bool:
    found = schema.roles.get(role or "")
    names = [name.lower() for name, _ in found.settings] if found is not None else []
    return request.preferences.timezone is not None or not _OUTPUT_SETTINGS.isdisjoint(names)


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
