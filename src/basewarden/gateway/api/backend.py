"""One request to a project's API: request -> limits -> send with the connection's key -> response."""

import re
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import msgspec

from basewarden.connections.rest import HTTPConnection, HTTPFailure, is_postgrest_error
from basewarden.core.tracing import span
from basewarden.errors import AppError
from basewarden.gateway.api.headers import (
    format_preferences,
    list_deciding_headers,
    make_read_headers,
    pass_headers,
    takes_gzip,
)
from basewarden.gateway.api.journaled_request import OUTDATED_CODES
from basewarden.gateway.api.named_columns import list_refused_columns, list_requested_columns
from basewarden.gateway.api.policy import check_limits, check_request
from basewarden.gateway.api.project import ApiProject, PreparedCall
from basewarden.gateway.api.recorded_write import handle_write
from basewarden.gateway.api.responses import leave_rows_out
from basewarden.gateway.api.streaming import UpstreamStream
from basewarden.gateway.api.upstream_client import explain_failure, open_exchange, raise_error_response, read_error_body
from basewarden.gateway.api.url_encoding import encode_path, encode_query
from basewarden.gateway.caller import Caller
from basewarden.gateway.concealment import conceal
from basewarden.gateway.errors import UpstreamInvalid
from basewarden.gateway.guarding import EgressGuard, GuardedRequest, list_public_tables
from basewarden.gateway.read_budget import bound_call
from basewarden.gateway.recording.reviewing import HeldForApproval, ReviewedRecorder, WriteRecorder
from basewarden.gateway.recording.schema_retry import SnapshotStale, run_on_current_schema
from basewarden.gateway.rest import RestCall, RestResult
from basewarden.gateway.row_counting import count_rows
from basewarden.journal import Recorder
from basewarden.policy import BudgetExceeded, GuardRules, ReadCounter
from pgrest import (
    ColumnName,
    Payload,
    PgrestError,
    Request,
    Response,
    Schema,
    bad_preferences,
    make_error_response,
    parse_head,
    read_body,
)

_READS: Final = ("GET", "HEAD")
_ANSWERED_WITHOUT_A_WRITE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_ROWS: Final = Payload(b"[]")
_FIRST_REFUSAL, _BAD_REQUEST = 300, 400
_RANGE_NOT_SATISFIABLE = 416
_NO_SUCH_SCHEMA = "PGRST106"
_OTHER_COLUMNS = "The project's API returned other columns than its description lists. Nothing was changed."
_RELOAD_HINT = "If the table was just changed, run NOTIFY pgrst, 'reload schema' in the database."
_OF_READS: Final = frozenset({"handling", "count", "timezone", "max-affected"})
_TIMEZONE = re.compile(r"[A-Za-z0-9_+/-]{1,64}\Z")


class ApiBackend:
    """Handles requests to projects that are reached through their own REST API."""

    def __init__(self, recorder: Recorder, reads: ReadCounter, guard: EgressGuard) -> None:
        self._recorder = recorder
        self._reads = reads
        self._guard = guard

    async def handle(self, project: ApiProject, caller: Caller, call: RestCall) -> RestResult:
        """The whole answer."""
        answer = await self.open(project, caller, call)
        return answer if isinstance(answer, RestResult) else await _read_whole(answer)

    async def add_reads(self, project: ApiProject, caller: Caller, call: RestCall) -> None:
        """Stores what the answer to a request shows, before an answer that is there already is shown."""
        rules = await _find_rules(project, caller)
        if rules is not None:
            reads = await _find_reads(project, rules, await _parse(project, call))
            await self._add_reads(caller, rules, reads)

    async def check(self, project: ApiProject, caller: Caller, call: RestCall) -> None:
        """Raises what `handle` would refuse whatever the body is, before that is read."""
        with _concealing(project, caller, call) as concealing:
            await self._check(project, caller, call, concealing)

    async def open(self, project: ApiProject, caller: Caller, call: RestCall) -> RestResult | UpstreamStream:
        """A read comes as it arrives; a write is whole when it is journaled, and so is a read that is counted."""
        if caller.max_read_rows is not None and call.method in _READS:
            return await self._read_counted(project, caller, call, caller.max_read_rows)
        return await self._open(project, caller, call)

    async def _read_counted(self, project: ApiProject, caller: Caller, call: RestCall, limit: int) -> RestResult:
        left = await self._reads.find_left(caller.id, limit)
        bounded = bound_call(call, left) if call.method == "GET" else call
        answer = await self._open(project, caller, bounded)
        result = answer if isinstance(answer, RestResult) else await _read_whole(answer)
        with _concealing(project, caller, call):
            body = b"" if call.method == "HEAD" else result.response.body
            rows = await count_rows(await _parse(project, bounded), body, _find_type(result.response))
            await self._reads.take(caller.id, limit, rows)
        return result

    async def _open(self, project: ApiProject, caller: Caller, call: RestCall) -> RestResult | UpstreamStream:
        with _concealing(project, caller, call) as concealing:
            key = _read_key(caller, call)
            concealing.schema = await project.find_schema() if caller.policy.names is not None else None
            rules = await _find_rules(project, caller)
            kept = project.prepared.find(key, concealing.schema) if key is not None else None
            if kept is not None and kept.rules is rules:
                await self._add_reads(caller, rules, kept.reads)
                return await self._fetch(project, kept)
            if rules is not None and call.method not in _ANSWERED_WITHOUT_A_WRITE:
                caller = await self._guard.close_tables(caller, rules, list_public_tables(caller))
                caller = await self._guard.hold(caller, GuardedRequest(rules, frozenset()))
            request = await self._check(project, caller, call, concealing)
            reads = await _find_reads(project, rules, request)
            await self._add_reads(caller, rules, reads)
            if request.method not in _ANSWERED_WITHOUT_A_WRITE:
                request = await read_body(request, call.body)
                answer = await self._write_counted(project, caller, call, request, concealing.schema)
                await self._add_refused(project, caller, rules, request, answer.response)
                return concealing.conceal_answer(answer)
            prepared = replace(_prepare_read(project, caller, request, call), reads=reads, rules=rules)
            if key is not None:
                project.prepared.keep(key, concealing.schema, prepared)
            return await self._fetch(project, prepared)

    async def _add_reads(self, caller: Caller, rules: GuardRules | None, reads: frozenset[ColumnName]) -> None:
        if rules is not None:
            await self._guard.add_unknown(caller, GuardedRequest(rules, reads))

    async def _add_refused(
        self, project: ApiProject, caller: Caller, rules: GuardRules | None, request: Request, answer: Response
    ) -> None:
        """Of a refusal, the details may show rows. An approved write's agent is not shown them."""
        if rules is None or answer.status < _BAD_REQUEST or caller.review is not None:
            return
        named = list_refused_columns(await project.find_schema(), request, project.config, answer)
        await self._guard.add_shown(caller, rules, named)

    async def _check(self, project: ApiProject, caller: Caller, call: RestCall, concealing: "_Concealing") -> Request:
        """The request without its body. `concealing` then has the snapshot on which it is within the limits."""
        with span("plan"):
            request = await _parse(project, call)
        with span("policy"):
            check_request(caller, request)
            if caller.policy.names is not None:
                concealing.schema = await project.find_schema()
                concealing.schema = await _check_limits(project, caller, request, concealing.schema)
        return request

    async def _write_counted(
        self, project: ApiProject, caller: Caller, call: RestCall, request: Request, checked: Schema | None
    ) -> RestResult:
        """Counts the rows that the write shows as read. It cannot be rolled back: beyond the limit, no row is shown."""
        limit = caller.max_read_rows
        if limit is None or request.preferences.returning != "representation":
            return await self._write(project, caller, call, request, checked)
        await self._reads.find_left(caller.id, limit)
        result = await self._write(project, caller, call, request, checked)
        if result.response.status >= _FIRST_REFUSAL:
            return result
        rows = await count_rows(request, result.response.body, _find_type(result.response))
        try:
            await self._reads.take(caller.id, limit, rows)
        except BudgetExceeded:
            return msgspec.structs.replace(result, response=leave_rows_out(result.response))
        return result

    async def _write(
        self, project: ApiProject, caller: Caller, call: RestCall, request: Request, checked: Schema | None
    ) -> RestResult:
        """Runs once more where an outdated snapshot may have caused the refusal: nothing was changed then."""
        recorder = self._recorder if not caller.is_reviewed else self._review(caller, request)

        async def write(schema: Schema | None) -> RestResult:
            return await handle_write(project.upstream, schema, request, caller, call, recorder)

        async def renew(schema: Schema | None, error: Exception) -> Schema | None:
            newer = await _find_newer(project, schema, error)
            _check_on(project, caller, request, newer)
            return newer

        schema = checked if checked is not None else await project.find_schema()
        return await run_on_current_schema(schema, write, renew, tries=2)

    def _review(self, caller: Caller, request: Request) -> WriteRecorder:
        payload = request.payload if request.payload is not None else _NO_ROWS
        held = HeldForApproval(payload.keys, payload.body, caller.holding)
        return ReviewedRecorder(self._recorder, caller.review or held)

    async def _fetch(self, project: ApiProject, prepared: PreparedCall) -> UpstreamStream:
        with span("run"):
            try:
                connection = await open_exchange(project.client, prepared.data, method=prepared.method)
            except HTTPFailure as error:
                raise explain_failure(error, is_safe=True) from None
            if connection.status >= _FIRST_REFUSAL and connection.status != _RANGE_NOT_SATISFIABLE:
                await self._refuse(project, connection)
        headers = pass_headers(connection.headers, project.address, shows_profile=prepared.shows_profile)
        incoming = UpstreamStream(project.client, connection, headers)
        incoming.check_coding(takes_gzip=prepared.takes_gzip)
        return incoming

    async def _refuse(self, project: ApiProject, connection: HTTPConnection) -> None:
        try:
            await raise_error_response(project.client, connection)
        except PgrestError as error:
            if error.code in OUTDATED_CODES:
                project.refresh_soon()
            raise


async def _find_rules(project: ApiProject, caller: Caller) -> GuardRules | None:
    """None where nothing that the caller reads bears on its writes. Only marks say who reads and writes a table."""
    guard = caller.guard
    if guard is None or not guard.has_tables:
        return None
    schema = await project.find_schema()
    return project.guard.find(guard, schema) or await project.guard.load(guard, schema)


async def _find_reads(project: ApiProject, rules: GuardRules | None, request: Request) -> frozenset[ColumnName]:
    if rules is None:
        return frozenset()
    return rules.find_reads(list_requested_columns(await project.find_schema(), request, project.config))


async def _read_whole(answer: UpstreamStream) -> RestResult:
    body = await answer.read_whole()
    if answer.is_compressed:
        raise UpstreamInvalid("The project's API compressed a response that was requested uncompressed.")
    return RestResult(Response(answer.status, tuple(answer.headers), body))


def _find_type(response: Response) -> str:
    return next((value for name, value in response.headers if name.lower() == "content-type"), "")


async def _find_newer(project: ApiProject, schema: Schema | None, error: Exception) -> Schema | None:
    """Raises what the caller gets where the project's schema is still the same."""
    if isinstance(error, SnapshotStale):
        newer = await project.wait_for_newer(schema)
        if newer is schema:
            raise UpstreamInvalid(_OTHER_COLUMNS, hint=_RELOAD_HINT) from error
    else:
        newer = await project.refresh(schema)
        if newer is schema:
            raise error
    return newer


async def _check_limits(project: ApiProject, caller: Caller, request: Request, schema: Schema | None) -> Schema | None:
    """The snapshot that the request is within the caller's limits on; a stale one may be what refused it first."""
    try:
        _check_on(project, caller, request, schema)
    except PgrestError:
        newer = await project.refresh(schema)
        if newer is schema:
            raise
        _check_on(project, caller, request, newer)
        return newer
    return schema


def _check_on(project: ApiProject, caller: Caller, request: Request, schema: Schema | None) -> None:
    policy = caller.policy
    if policy.names is not None:
        check_limits(policy, request, schema, project.narrow(schema, policy.names), project.config)


@contextmanager
def _concealing(project: ApiProject, caller: Caller, call: RestCall) -> Iterator["_Concealing"]:
    """An error says no more than the caller may know."""
    concealing = _Concealing(project, caller, call)
    try:
        yield concealing
    except (PgrestError, AppError) as error:
        concealed = concealing.conceal(error)
        if concealed is error:
            raise
        raise concealed from error


class _Concealing:
    """`schema` is the snapshot that was used last."""

    def __init__(self, project: ApiProject, caller: Caller, call: RestCall) -> None:
        self._project = project
        self._names = caller.policy.names
        self._sent = call.sent
        self.schema: Schema | None = None

    def conceal(self, error: Exception) -> Exception:
        narrowed = None if self._names is None else self._project.narrow(self.schema, self._names)
        return conceal(error, narrowed, self._sent)

    def conceal_answer(self, answer: RestResult) -> RestResult:
        """A refusal of the project's that is passed on as an answer."""
        if self._names is None or answer.response.status < _BAD_REQUEST:
            return answer
        body = read_error_body((), bytes(answer.response.body))
        if not is_postgrest_error(body):
            return answer
        error = PgrestError(
            answer.response.status, body["code"], body["message"], body.get("details"), body.get("hint")
        )
        concealed = self.conceal(error)
        if concealed is error:
            return answer
        if not isinstance(concealed, PgrestError):
            raise concealed
        return RestResult(make_error_response(concealed), answer.session_id, answer.write_id)


async def _parse(project: ApiProject, call: RestCall) -> Request:
    """A schema that is not known to be exposed may have been since."""
    try:
        return _parse_now(project, call)
    except PgrestError as error:
        if error.code != _NO_SUCH_SCHEMA:
            raise
    await project.refresh(None)
    return _parse_now(project, call)


def _parse_now(project: ApiProject, call: RestCall) -> Request:
    """Time zones are the project's to know; what looks like one passes."""
    request = parse_head(
        call.method,
        call.path,
        call.query,
        call.headers,
        config=project.config,
        is_timezone=lambda name: _TIMEZONE.match(name) is not None,
        raw_path=call.raw_path,
        body_bytes=len(call.body),
    )
    if request.preferences.invalid and request.preferences.is_strict:
        raise bad_preferences(request.preferences.invalid)
    return request


def _prepare_read(project: ApiProject, caller: Caller, request: Request, call: RestCall) -> PreparedCall:
    prefer = format_preferences(request.preferences, names=_OF_READS)
    headers = make_read_headers(request, call.headers, prefer)
    query = encode_query(caller, call.query)
    target = f"{encode_path(request)}?{query}" if query else encode_path(request)
    data = project.client.make_head(request.method, target, headers, None)
    return PreparedCall(
        data, request.method, shows_profile=request.is_schema_negotiated, takes_gzip=takes_gzip(call.headers)
    )


def _read_key(caller: Caller, call: RestCall) -> Hashable | None:
    """All that a read depends on besides the snapshot; None for what has a body or may write.

    What the caller may name is part of it: an agent's policy can be changed.
    """
    if call.method not in _READS or call.body:
        return None
    path = call.raw_path or call.path
    names = caller.policy.names
    return (caller.kind, caller.id, names, call.method, path, call.query, list_deciding_headers(call.headers))
