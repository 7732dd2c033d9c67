"""The outermost layer: what holds for every request, before any handler runs.

In order: who is at the other end, request id, origin (CSRF), body size, the handler, headers, the log.
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
from basewarden.web.context import RequestContext, attach_context, scope_context
from basewarden.web.guard import OpenRequests, find_network, is_in
from basewarden.web.joined import find_head
from basewarden.web.loopback import LoopbackAlias
from basewarden.web.responses import Internal, send_error
from basewarden.web.stopwatch import Stopwatch, run_timed
from basewarden.web.turns import UNMEASURED_SECONDS, find_turns, wait_for_turn, was_sent_ahead

_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LONG = re.compile(r"[^/]{37,}")
_ROW = re.compile(r"^(/c/[^/]+/data/[^/]+/)(?!\+)[^/]+")
_ORIGIN_EXEMPT = "/api/webhooks/"
_log = structlog.get_logger()
_access_log = AccessLog()
_ids = random.Random()  # noqa: S311 - of its own, because what it draws is shown to clients

_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
)

# What no handler may say otherwise, and no project whose answer is passed on.
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
Observe = Callable[[Any, int, float], None]
"""Hears of each answer: its scope, its status (0: the caller had gone), its seconds. On the hot path."""


class Edge:
    """Plain ASGI around plain ASGI; costs a few microseconds."""

    def __init__(self, app: Any, settings: Settings, observe: Observe | None = None) -> None:
        self._app = app
        self._observe = observe
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
        exchange = _Exchange(scope, send, self._headers, context)
        handling = self._handle(scope, receive, exchange)
        with log_context(request_id=context.request_id):
            if exchange.watch is None:
                await handling
            else:
                await run_timed(handling, exchange.watch)

    async def _handle(self, scope: Any, receive: Any, exchange: "_Exchange") -> None:
        try:
            self._check_origin(scope)
            exceeded = find_exceeded(scope, self._budgets)
            if exceeded is not None:
                await refuse_body(scope, receive, exceeded)
            elsewhere = self._alias.find_redirect(scope)
            if elsewhere is not None:
                await RedirectResponse(elsewhere)(scope, receive, exchange.send)
                return
            limited = receive if scope["method"] == "GET" else limit_body(scope, receive, self._budgets)
            if self._proxies:
                await self._run_counted(scope, limited, exchange.send)
            else:
                await self._app(scope, limited, exchange.send)
        except AppError as error:
            await self._fail(error, scope, receive, exchange)
        except Exception:
            _log.exception("request.failed", path=hide_tokens(scope["path"]))
            await self._fail(Internal.of_request(scope_context(scope).request_id), scope, receive, exchange)
        finally:
            exchange.log()
            if self._observe is not None:
                self._observe(scope, exchange.status, exchange.seconds)

    async def _run_counted(self, scope: Any, receive: Any, send: Any) -> None:
        """Behind a proxy, which has few connections for many clients, requests are what is counted."""
        key = self._open.enter(scope_context(scope).client_address)
        try:
            await self._app(scope, receive, send)
        finally:
            self._open.leave(key)

    async def _fail(self, error: AppError, scope: Any, receive: Any, exchange: "_Exchange") -> None:
        if exchange.status == 0:
            await send_error(error, scope, receive, exchange.send)

    def _check_origin(self, scope: Any) -> None:
        if scope["method"] not in _UNSAFE or scope["path"].startswith(_ORIGIN_EXEMPT):
            return
        for name, value in scope["headers"]:
            if name == b"origin" and value.lower() != self._origin:
                raise Forbidden("This request comes from another site.")


class _Exchange:
    """One answer on its way out: adds the headers, remembers the status for the log."""

    def __init__(self, scope: Any, send: Any, headers: Headers, context: RequestContext) -> None:
        self._scope = scope
        self._send = send
        self._headers = headers
        self._context = context
        self._turns = find_turns(scope)
        self._started = time.perf_counter()
        self.watch = Stopwatch() if self._turns is not None and not _has_token(scope) else None
        """not of agents, whose requests are many"""
        self.status = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            wait = self._find_wait()
            if wait:
                await wait_for_turn(self._scope, wait)
            self.status = message["status"]
            message = self._add_headers(message)
        await self._send(message)

    def _add_headers(self, message: Any) -> Any:
        own = message["headers"]
        names = tuple([name for name, _ in own])  # in lower case, as ASGI wants them
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
        """Seconds for which a stranger's answer lets others go first."""
        if self._turns is None:
            return 0.0
        facts = read_log_context()
        if "agent" in facts:
            return 0.0
        if "user" in facts:
            if not self._scope["path"].startswith(DATA_API_PREFIX):  # there it has been told whether they take little
                self._turns.see(facts["user"])
            return 0.0
        seconds = UNMEASURED_SECONDS if self.watch is None else self.watch.read_within()
        network, ahead = find_network(self._context.client_address), was_sent_ahead(self._scope)
        return self._turns.charge(network, seconds, self._scope["path"], sent_ahead=ahead)

    def log(self) -> None:
        _access_log.note(
            method=self._scope["method"],
            path=hide_tokens(self._scope["path"]),  # never the query: filters carry people's data
            status=self.status,
            ms=round(self.seconds * 1000, 1),
            client=self._context.client_address,
        )


def _has_token(scope: Any) -> bool:
    return not _TOKENS.isdisjoint([name for name, _ in scope["headers"]])


def hide_tokens(path: str) -> str:
    """A long segment may be a token of an email's link; ids have 36 characters. A row's page is named by its key."""
    return _LONG.sub("…", _ROW.sub(r"\1…", path) if path.startswith("/c/") else path)


def find_client_address(scope: Any, proxies: tuple[Any, ...]) -> str:
    """The peer, or the last forwarded address that no trusted proxy wrote for itself."""
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
    """Tells requests apart and guards nothing, so it need not cost a system call."""
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
    """Of the headers of every answer those that a handler may choose itself, and has not."""
    return tuple(pair for pair in headers if pair[0] in _OURS or pair[0] not in names)


@lru_cache(maxsize=512)
def _join_missing(headers: Headers, names: tuple[bytes, ...]) -> bytes:
    """The same as lines of a head."""
    return b"".join(b"%b: %b\r\n" % pair for pair in _list_missing(headers, names))
