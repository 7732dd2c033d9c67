"""`/api/v/<id>/…` as plain ASGI: the hot path goes round the framework."""

import re
from collections.abc import Awaitable, Sequence
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import msgspec

from basewarden.core.logs import note_facts
from basewarden.core.tracing import stage
from basewarden.errors import BadRequest, NotFound
from basewarden.gateway.caller import Caller, Callers
from basewarden.gateway.forward.incoming import Incoming, WhileConnected
from basewarden.gateway.introspect import describe_schema
from basewarden.gateway.lending import PIECE_BYTES, send_in_pieces
from basewarden.gateway.limits import RateLimits
from basewarden.gateway.projects import AnyProject, Projects
from basewarden.gateway.road import RestAnswer, RestCall
from basewarden.gateway.roads import Roads
from basewarden.pgrest import DatabaseError, PgrestError, from_database, make_error_response
from basewarden.web import CallerKind
from basewarden.web.responses import JSON_TYPE

PREFIX = "/api/v/"
SESSION_HEADER = "x-basewarden-session"
_LABEL_HEADER = SESSION_HEADER.encode()
_ADDRESS = re.compile(r"/api/v/(?P<id>[^/]+)/(?P<room>rest/v1|introspect)(?P<rest>/.*)?\Z", re.DOTALL)
_LABEL = re.compile(r"[\x20-\x7e]{1,100}\Z")
_CORS = ("Access-Control-", "access-control-")
_CREDENTIALS = frozenset({b"authorization", b"apikey", b"cookie"})
T = TypeVar("T")


class DataRoad:
    """Takes what is under its prefix and hands the rest on to `then`."""

    callers: ClassVar[frozenset[CallerKind]] = frozenset({CallerKind.AGENT, CallerKind.MEMBER})

    def __init__(self, then: Any, callers: Callers, limits: RateLimits, projects: Projects, roads: Roads) -> None:
        self._then = then
        self._callers = callers
        self._limits = limits
        self._projects = projects
        self._roads = roads

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._then(scope, receive, send)
            return
        address = _ADDRESS.match(scope["path"])
        if address is None:
            raise NotFound
        with stage("data"):
            await self._serve(scope, receive, send, address)

    async def _serve(self, scope: Any, receive: Any, send: Any, address: re.Match[str]) -> None:
        with stage("caller"):
            caller = await self._callers.identify(scope, address["id"])
            note_facts(**caller.facts)
            await self._limits.check(caller)
            project = await self._projects.get(caller.connection.id)
        if address["room"] == "introspect":
            await self._introspect(scope, send, project, caller, address["rest"])
        else:
            await self._rest(scope, receive, send, project, caller, address["rest"] or "/")

    async def _introspect(self, scope: Any, send: Any, project: AnyProject, caller: Caller, rest: str | None) -> None:
        if rest or scope["method"] != "GET":
            raise NotFound
        body = msgspec.json.encode(describe_schema(await project.schema(), caller.tables))
        await _send(send, 200, [("content-type", JSON_TYPE), ("content-length", str(len(body)))], body)

    async def _rest(self, scope: Any, receive: Any, send: Any, project: AnyProject, caller: Caller, path: str) -> None:
        headers = _read_headers(scope)
        call = RestCall(
            method=scope["method"],
            path=path,
            query=scope["query_string"],
            headers=headers,
            body=b"" if scope["method"] == "GET" else await _read_body(receive),
            label=_read_label(headers),
        )
        if call.method in ("GET", "HEAD"):
            await self._read(receive, send, project, caller, call)
        else:
            await self._send_answer(send, await _explain(self._roads.travel(project, caller, call)))

    async def _read(self, receive: Any, send: Any, project: AnyProject, caller: Caller, call: RestCall) -> None:
        """For no longer than somebody wants it; what another server sends goes out as it comes in."""
        async with WhileConnected(receive) as watch:
            answer = await _explain(self._roads.open(project, caller, call))
            if isinstance(answer, Incoming):
                await answer.relay(send, watch, is_head=call.method == "HEAD")
            else:
                watch.stop()
                await self._send_answer(send, answer)

    async def _send_answer(self, send: Any, answer: RestAnswer) -> None:
        if len(answer.response.body) <= PIECE_BYTES:
            await _send_answer(send, answer)
        else:
            with self._projects.lending.holding(answer.response.body):
                await _send_answer(send, answer)


async def _explain(asking: Awaitable[T]) -> T | RestAnswer:
    try:
        return await asking
    except DatabaseError as error:
        return RestAnswer(make_error_response(from_database(error)))
    except PgrestError as error:
        return RestAnswer(make_error_response(error))


async def _send_answer(send: Any, answer: RestAnswer) -> None:
    headers = [pair for pair in answer.response.headers if not pair[0].startswith(_CORS)]
    if answer.session_id is not None:
        note_facts(session=str(answer.session_id))
        headers.append((SESSION_HEADER, str(answer.session_id)))
    await _send(send, answer.response.status, headers, answer.response.body)


async def _send(send: Any, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
    encoded = [_encode_pair(pair) for pair in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    if len(body) > PIECE_BYTES:
        await send_in_pieces(send, body)
    else:
        await send({"type": "http.response.body", "body": body})


@lru_cache(maxsize=4096)
def _encode_pair(pair: tuple[str, str]) -> tuple[bytes, bytes]:
    return pair[0].lower().encode("latin-1"), pair[1].encode("latin-1", "replace")


async def _read_body(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The request was cut off.")
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _read_headers(scope: Any) -> list[tuple[bytes, bytes]]:
    """The caller's credentials end here: the project's database never sees them."""
    return [pair for pair in scope["headers"] if pair[0] not in _CREDENTIALS]


def _read_label(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    label = next((value.decode("latin-1") for name, value in headers if name == _LABEL_HEADER), None)
    if label is not None and not _LABEL.match(label):
        raise BadRequest(f"{SESSION_HEADER} takes 1 to 100 printable ASCII characters.")
    return label
