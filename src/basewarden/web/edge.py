"""The outermost layer, which every request passes before a handler runs.

In order: client address, request id, origin (CSRF), body size, the handler, headers, the access log.
"""

import ipaddress
import random
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import structlog
from starlette.responses import RedirectResponse

from basewarden.core.logs import AccessLog, log_context, read_log_context
from basewarden.errors import AppError, Forbidden
from basewarden.settings import Settings
from basewarden.web.bodies import find_exceeded, limit_body, refuse_body
from basewarden.web.budgets import DATA_API_PREFIX, RequestBudgets
from basewarden.web.context import RequestContext, attach_context, header_values, scope_context
from basewarden.web.guard import OpenRequests, find_network, is_in
from basewarden.web.joined import find_head
from basewarden.web.loop_shares import UNMEASURED_SECONDS, delay_request, find_loop_shares, is_pipelined_request
from basewarden.web.loopback import LoopbackAlias
from basewarden.web.responses import Internal, send_error
from basewarden.web.stopwatch import Stopwatch, run_timed
from basewarden.web.whole_responses import WHOLE, find_whole, join_lines

_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LONG = re.compile(r"(?<![^/])[^/]{37,}")  # only from the start of a segment: to try each place takes longer
_ROW = re.compile(r"^(/c/[^/]+/data/[^/]+/)(?!\+)[^/]+")
_ORIGIN_EXEMPT = "/api/webhooks/"
_log = structlog.get_logger()
_access_log = AccessLog()
_ids = random.Random()  # noqa: S311 - a generator of its own, because its numbers are shown to clients

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)

# Headers that no handler may change, and no project whose response is passed on.
_OURS = frozenset(
    {
        b"x-request-id",
        b"x-content-type-options",
        b"x-frame-options",
        b"cross-origin-opener-policy",
        b"cross-origin-resource-policy",
        b"permissions-policy",
        b"strict-transport-security",
    }
)

_TOKENS = frozenset({b"authorization", b"apikey"})
Headers = tuple[tuple[bytes, bytes], ...]
OnResponse = Callable[[Any, int, float], None]
"""Gets the scope, the status (0: the client disconnected) and the seconds of each request. On the hot path."""


class Edge:
    """ASGI middleware that costs a few microseconds."""

    def __init__(self, app: Any, settings: Settings, on_response: OnResponse | None = None) -> None:
        self._app = app
        self._on_response = on_response
        self._origin = settings.origin.encode()
        self._proxies = settings.trusted_proxies
        self._budgets = RequestBudgets.read(settings)
        self._open = OpenRequests(settings.max_connections_per_address)
        self._headers = _security_headers(settings)
        self._alias = LoopbackAlias(settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = RequestContext(_request_id(), find_client_address(scope, self._proxies))
        attach_context(scope, context)
        response = _ResponseSender(scope, send, self._headers, context)
        handling = self._handle(scope, receive, response)
        with log_context(request_id=context.request_id):
            if response.watch is None:
                await handling
            else:
                await run_timed(handling, response.watch)

    async def _handle(self, scope: Any, receive: Any, response: "_ResponseSender") -> None:
        try:
            self._check_origin(scope)
            exceeded = find_exceeded(scope, self._budgets)
            if exceeded is not None:
                await refuse_body(scope, receive, exceeded)
            location = self._alias.find_redirect(scope)
            if location is not None:
                await RedirectResponse(location)(scope, receive, response.send)
                return
            limited = receive if scope["method"] == "GET" else limit_body(scope, receive, self._budgets)
            if self._proxies:
                await self._run_counted(scope, limited, response.send)
            else:
                await self._app(scope, limited, response.send)
        except AppError as error:
            await self._fail(error, scope, receive, response)
        except Exception:
            _log.exception("request.failed", path=hide_tokens(scope["path"]))
            await self._fail(Internal.of_request(scope_context(scope).request_id), scope, receive, response)
        finally:
            response.log()
            if self._on_response is not None:
                self._on_response(scope, response.status, response.seconds)

    async def _run_counted(self, scope: Any, receive: Any, send: Any) -> None:
        """Counts requests instead of connections: a proxy has few connections for many clients."""
        key = self._open.enter(scope_context(scope).client_address)
        try:
            await self._app(scope, receive, send)
        finally:
            self._open.leave(key)

    async def _fail(self, error: AppError, scope: Any, receive: Any, response: "_ResponseSender") -> None:
        if response.status == 0:
            await send_error(error, scope, receive, response.send)

    def _check_origin(self, scope: Any) -> None:
        if scope["method"] not in _UNSAFE or scope["path"].startswith(_ORIGIN_EXEMPT):
            return
        for name, value in scope["headers"]:
            if name == b"origin" and value.lower() != self._origin:
                raise Forbidden("This request comes from another site.")


class _ResponseSender:
    """Sends one response: adds the headers, and keeps the status for the log."""

    def __init__(self, scope: Any, send: Any, headers: Headers, context: RequestContext) -> None:
        self._scope = scope
        self._send = send
        self._headers = headers
        self._context = context
        self._loop_shares = find_loop_shares(scope)
        self._started = time.perf_counter()
        self.watch = Stopwatch() if self._loop_shares is not None and not _has_token(scope) else None
        """None for agents, which send many requests."""
        self.status = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    async def send(self, message: Any) -> None:
        kind = message["type"]
        if kind in (WHOLE, "http.response.start"):
            wait = self._find_wait()
            if wait:
                await delay_request(self._scope, wait)
            self.status = message["status"]
            if kind == WHOLE:
                await self._send_whole(message)
                return
            message = self._add_headers(message)
        await self._send(message)

    async def _send_whole(self, message: Any) -> None:
        checked, others = message["checked"], message["others"]
        send_whole = find_whole(self._scope)
        if send_whole is not None and _OURS.isdisjoint(checked.names):
            own = b"x-request-id: %b\r\n%b" % (
                self._context.request_id.encode(),
                _join_missing(self._headers, checked.names),
            )
            if send_whole(self._scope, self.status, checked.lines + join_lines(others) + own, message["body"]):
                return
        start = {"type": "http.response.start", "status": self.status, "headers": [*checked.pairs, *others]}
        await self._send(self._add_headers(start))
        await self._send({"type": "http.response.body", "body": message["body"]})

    def _add_headers(self, message: Any) -> Any:
        own = message["headers"]
        names = tuple([name for name, _ in own])  # in lower case, as ASGI requires
        if not _OURS.isdisjoint(names):
            own = [pair for pair in own if pair[0] not in _OURS]
        request_id = self._context.request_id.encode()
        add_to_head = find_head(self._scope)
        if add_to_head is None:
            missing = _list_missing(self._headers, names)
            return {**message, "headers": [*own, (b"x-request-id", request_id), *missing]}
        add_to_head(b"x-request-id: %b\r\n%b" % (request_id, _join_missing(self._headers, names)))
        return message if own is message["headers"] else {**message, "headers": own}

    def _find_wait(self) -> float:
        """The seconds by which the response to a stranger is delayed."""
        if self._loop_shares is None:
            return 0.0
        ids = read_log_context()
        if "agent" in ids:
            return 0.0
        if "user" in ids:
            if not self._scope["path"].startswith(DATA_API_PREFIX):  # the data API has noted it already
                self._loop_shares.note_active(ids["user"])
            return 0.0
        seconds = UNMEASURED_SECONDS if self.watch is None else self.watch.read_within()
        network, ahead = find_network(self._context.client_address), is_pipelined_request(self._scope)
        return self._loop_shares.charge(network, seconds, self._scope["path"], is_pipelined=ahead)

    def log(self) -> None:
        _access_log.note(
            method=self._scope["method"],
            path=hide_tokens(self._scope["path"]),  # without the query: filters hold personal data
            status=int(self.status),
            ms=round(self.seconds * 1000, 1),
            client=self._context.client_address,
        )


def _has_token(scope: Any) -> bool:
    return not _TOKENS.isdisjoint(header_values(scope))


def hide_tokens(path: str) -> str:
    """Hides long segments, which may be tokens (an id has 36 characters), and the keys of rows."""
    return _LONG.sub("…", _ROW.sub(r"\1…", path) if path.startswith("/c/") else path)


def find_client_address(scope: Any, proxies: tuple[Any, ...]) -> str:
    """Returns the peer, or the last forwarded address that is not a trusted proxy."""
    peer = scope["client"][0] if scope.get("client") else "unknown"
    if not is_in(peer, proxies):
        return peer
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    hops = [hop.strip() for hop in b",".join(forwarded).decode("latin-1").split(",") if hop.strip()]
    for hop in reversed(hops):
        if not is_in(hop, proxies):
            return hop if _is_address(hop) else peer
    return peer


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _request_id() -> str:
    """Identifies a request and is not a secret, so it costs no system call."""
    return f"{random.getrandbits(64):016x}"


def _security_headers(settings: Settings) -> Headers:
    headers = {
        "content-security-policy": _CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "cache-control": "no-store",
    }
    if settings.is_https:
        headers["strict-transport-security"] = "max-age=31536000; includeSubDomains"
    return tuple((name.encode(), value.encode()) for name, value in headers.items())


@lru_cache(maxsize=512)
def _list_missing(headers: Headers, names: tuple[bytes, ...]) -> Headers:
    """Returns our headers without those that the handler has set and may set."""
    return tuple(pair for pair in headers if pair[0] in _OURS or pair[0] not in names)


@lru_cache(maxsize=512)
def _join_missing(headers: Headers, names: tuple[bytes, ...]) -> bytes:
    """The same as lines of a response head."""
    return b"".join(b"%b: %b\r\n" % pair for pair in _list_missing(headers, names))
