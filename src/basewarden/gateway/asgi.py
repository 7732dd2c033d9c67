"""`/api/v/<id>/…` as plain ASGI: the hot path avoids the framework."""

import re
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec

from basewarden.core.logs import bind_log_context
from basewarden.core.tracing import traced
from basewarden.errors import AppError, BadRequest, NotFound
from basewarden.gateway.api.streaming import DisconnectWatch, UpstreamStream
from basewarden.gateway.backends import Backends
from basewarden.gateway.bodies import HeldBodies, HeldBody
from basewarden.gateway.caller import Caller, Callers
from basewarden.gateway.concealment import conceal
from basewarden.gateway.introspect import describe_schema
from basewarden.gateway.limits import RateLimits
from basewarden.gateway.projects import AnyProject, Projects
from basewarden.gateway.proposal_poll import answer_poll
from basewarden.gateway.refusals import POLICY_CODES, describe_refusal
from basewarden.gateway.response_headers import (
    WITHOUT_BODY,
    Audience,
    choose_headers,
    find_audience,
    make_status,
)
from basewarden.gateway.rest import RestCall, RestResult
from basewarden.gateway.running import RunningRequests
from basewarden.gateway.sharing import PIECE_BYTES, send_in_pieces
from basewarden.journal import RefusalLog
from basewarden.proposals import Proposals
from basewarden.web import (
    JSON_TYPE,
    WITHOUT_LIMIT,
    Admission,
    CallerKind,
    LoopShares,
    RawHeader,
    Stopwatch,
    delay_request,
    find_loop_shares,
    header_values,
    make_whole,
    read_whole_body,
    run_timed,
    weigh_step_cubed,
)
from pgrest import (
    LARGE_BODY_BYTES,
    METHODS_WITH_BODY,
    DatabaseError,
    PgrestError,
    Response,
    from_database,
    make_error_response,
)

PREFIX = "/api/v/"
SESSION_HEADER = "x-basewarden-session"
_LABEL_HEADER = SESSION_HEADER.encode()
_ADDRESS = re.compile(r"/api/v/(?P<id>[^/]+)/(?P<room>rest/v1|introspect|proposals)(?P<rest>/.*)?\Z", re.DOTALL)
_ROOMS = "A connection's data is under /api/v/<id>/rest/v1/<table>, its schema under /api/v/<id>/introspect."
_LABEL = re.compile(r"[\x20-\x7e]{1,100}\Z")
_LONGEST_LENGTH = 10
_CREDENTIALS = frozenset({b"authorization", b"apikey", b"cookie"})
T = TypeVar("T")


class DataAPI:
    """Takes what is under its prefix and hands the rest on to `then`."""

    callers: ClassVar[frozenset[CallerKind]] = frozenset({CallerKind.AGENT, CallerKind.MEMBER})

    def __init__(
        self,
        then: Any,
        callers: Callers,
        limits: RateLimits,
        projects: Projects,
        backends: Backends,
        refusals: RefusalLog,
        running: RunningRequests,
        proposals: Proposals,
    ) -> None:
        self._then = then
        self._callers = callers
        self._limits = limits
        self._projects = projects
        self._backends = backends
        self._refusals = refusals
        self._running = running
        self._proposals = proposals
        self._bodies = HeldBodies()
        self._disconnects = DisconnectWatch()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._then(scope, receive, send)
            return
        address = _ADDRESS.match(scope["path"])
        if address is None:
            raise NotFound(hint=_ROOMS)
        await traced("data", self._serve(scope, receive, send, address))

    async def _serve(self, scope: Any, receive: Any, send: Any, address: re.Match[str]) -> None:
        caller = await traced("caller", self._identify(scope, address["id"]))
        bind_log_context(**caller.facts)
        try:
            with self._running.serve(caller, scope["method"], _find_label(scope)):
                await self._handle(scope, receive, send, address, caller)
        except AppError as error:
            self._note_refusal(scope, address, caller, error)
            raise

    async def _identify(self, scope: Any, connection_id: str) -> Caller:
        """Asks again where a stop was announced meanwhile: what was found may be from before it."""
        while True:
            known = self._running.announced
            caller = await self._callers.identify(scope, connection_id)
            if known == self._running.announced:
                return caller

    async def _handle(self, scope: Any, receive: Any, send: Any, address: re.Match[str], caller: Caller) -> None:
        await self._limits.check(caller)
        caller.check_stop()
        project = self._projects.find(caller.connection)
        if address["room"] == "introspect":
            await self._introspect(scope, send, project, caller, address["rest"])
        elif address["room"] == "proposals":
            await self._find_proposal(scope, send, project, caller, address["rest"])
        else:
            shares = find_loop_shares(scope)
            admission = WITHOUT_LIMIT if shares is None else shares.enter(caller.key)
            if admission.wait:
                await delay_request(scope, admission.wait)
            serving = self._rest(scope, receive, send, project, caller, address["rest"] or "/")
            if shares is not None and admission.is_measured:
                serving = _measure(serving, shares, admission, caller)
            await serving

    async def _introspect(self, scope: Any, send: Any, project: AnyProject, caller: Caller, rest: str | None) -> None:
        if rest or scope["method"] != "GET":
            raise NotFound
        audience = find_audience(header_values(scope), has_token=caller.is_agent)
        await self._send_answer(send, await _explain(_describe(project, caller)), audience)

    async def _find_proposal(
        self, scope: Any, send: Any, project: AnyProject, caller: Caller, rest: str | None
    ) -> None:
        """What became of an agent's proposal, for that agent alone."""
        if rest is None or scope["method"] != "GET":
            raise NotFound
        answer = await answer_poll(self._proposals, self._backends, project, caller, rest[1:])
        await self._send_answer(send, answer, find_audience(header_values(scope), has_token=True))

    async def _rest(self, scope: Any, receive: Any, send: Any, project: AnyProject, caller: Caller, path: str) -> None:
        method, headers = scope["method"], _read_headers(scope)
        label = _read_label(scope)
        is_small = method in METHODS_WITH_BODY and _may_write(caller, path) and _is_small(headers)
        body = await _read_body(receive) if is_small else b""
        call = RestCall(method, path, scope["query_string"], headers, body, label=label)
        audience = find_audience(header_values(scope), has_token=caller.is_agent)
        if method in ("GET", "HEAD"):
            await self._read(receive, send, project, caller, call, audience)
        elif is_small or method not in METHODS_WITH_BODY:
            await self._send_answer(send, await _explain(self._backends.handle(project, caller, call)), audience)
        else:
            await self._take_large(receive, send, project, caller, call, audience)

    def _note_refusal(self, scope: Any, address: re.Match[str], caller: Caller, error: AppError) -> None:
        """Records what policy refused, as it was sent: the body says nothing that is kept."""
        if error.code not in POLICY_CODES:
            return
        path = address["rest"] or "/" if address["room"] == "rest/v1" else "/"
        headers = _read_headers(scope)
        call = RestCall(scope["method"], path, scope["query_string"], headers, b"", label=_find_label(scope))
        refusal = describe_refusal(caller, call, self._projects.find(caller.connection).config, error)
        if refusal is not None:
            self._refusals.add(refusal)

    async def _take_large(
        self, receive: Any, send: Any, project: AnyProject, caller: Caller, call: RestCall, audience: Audience
    ) -> None:
        """What can be refused without the body is refused before it is read; the server skips the rest of it."""
        refusal = await _explain(self._backends.check(project, caller, call))
        if refusal is not None:
            await self._send_answer(send, refusal, audience)
            return
        with self._bodies.hold(caller.id) as held:
            call = msgspec.structs.replace(call, body=await _read_body(receive, held))
            await self._send_answer(send, await _explain(self._backends.handle(project, caller, call)), audience)

    async def _read(
        self, receive: Any, send: Any, project: AnyProject, caller: Caller, call: RestCall, audience: Audience
    ) -> None:
        """Until the client disconnects. A response of another server is streamed."""
        is_head = call.method == "HEAD"
        with self._disconnects.cancel_on_disconnect(receive) as watch:
            answer: RestResult | UpstreamStream
            try:
                answer = await self._backends.open(project, caller, call)
            except (DatabaseError, PgrestError) as error:
                answer = _make_error_result(error)
            if isinstance(answer, UpstreamStream):
                await answer.stream_to(send, watch, audience, is_head=is_head)
            else:
                watch.stop()
                await self._send_answer(send, answer, audience, is_head=is_head)

    async def _send_answer(self, send: Any, answer: RestResult, audience: Audience, *, is_head: bool = False) -> None:
        """A project chooses neither the framing of the message nor a header that is not on the list."""
        response, status = answer.response, make_status(answer.response.status)
        body = b"" if status in WITHOUT_BODY else response.body
        chosen = choose_headers(status, response.headers, audience, has_body=bool(body))
        others: list[RawHeader] = []
        if status not in WITHOUT_BODY and (body or not is_head):
            others.append((b"content-length", b"%d" % len(body)))
        if answer.session_id is not None:
            session = str(answer.session_id)
            bind_log_context(session=session)
            others.append((_LABEL_HEADER, session.encode()))
        if body and not is_head and len(body) <= PIECE_BYTES:
            await send(make_whole(status, chosen, others, body))
            return
        start = {"type": "http.response.start", "status": status, "headers": [*chosen.pairs, *others]}
        if len(body) > PIECE_BYTES:
            with self._projects.sharing.holding(body):  # the head, too, may wait for a client that reads nothing
                await send(start)
                await send_in_pieces(send, body)
        else:
            await send(start)
            await send({"type": "http.response.body", "body": body})


async def _measure(
    serving: Coroutine[Any, Any, None], shares: LoopShares, admission: Admission, caller: Caller
) -> None:
    watch = Stopwatch(weigh_step_cubed)
    try:
        await run_timed(serving, watch)
    finally:
        shares.leave(caller.key, admission, watch.cost)


async def _explain(asking: Awaitable[T]) -> T | RestResult:
    try:
        return await asking
    except (DatabaseError, PgrestError) as error:
        return _make_error_result(error)


def _make_error_result(error: DatabaseError | PgrestError) -> RestResult:
    explained = from_database(error) if isinstance(error, DatabaseError) else error
    return RestResult(make_error_response(explained))


async def _describe(project: AnyProject, caller: Caller) -> RestResult:
    try:
        schema = await project.schema()
        caller = await project.apply_column_rules(caller, schema)
    except PgrestError as error:
        raise conceal(error, None, b"") from error
    body = msgspec.json.encode(describe_schema(schema, caller.policy))
    return RestResult(Response(200, (("Content-Type", JSON_TYPE),), body))


def _may_write(caller: Caller, path: str) -> bool:
    """False where the method is refused whatever the body is, so that it is not worth reading first."""
    return caller.can_write if path.startswith("/rpc/") else caller.policy.may_change_in_some_schema(path[1:])


def _is_small(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Without a length it may be any; the edge has made sure that a length is made of digits."""
    for name, value in headers:
        if name == b"content-length" and len(value) < _LONGEST_LENGTH and int(value) <= LARGE_BODY_BYTES:
            return True
    return False


async def _read_body(receive: Any, held: HeldBody | None = None) -> bytes:
    body = await read_whole_body(receive, None if held is None else held.add)
    if body is None:
        raise BadRequest("The request ended before its body was complete.")
    return body


def _read_headers(scope: Any) -> list[tuple[bytes, bytes]]:
    """The caller's credentials end here: the project's database never sees them."""
    return [pair for pair in scope["headers"] if pair[0] not in _CREDENTIALS]


def _read_label(scope: Any) -> str | None:
    label = _find_label(scope)
    if label is not None and not _LABEL.match(label):
        raise BadRequest(f"{SESSION_HEADER} must be 1 to 100 printable ASCII characters.")
    return label


def _find_label(scope: Any) -> str | None:
    """As it was sent, which may be no label that is accepted."""
    if _LABEL_HEADER not in header_values(scope):
        return None
    labels: list[bytes] = [value for name, value in scope["headers"] if name == _LABEL_HEADER]
    return labels[0].decode("latin-1")
