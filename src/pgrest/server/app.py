"""PostgREST's contract for one database as a plain ASGI application."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

import msgspec

from pgrest import errors
from pgrest.errors import PgrestError
from pgrest.response import Header, Response, make_error_response
from pgrest.server.cors import answer_preflight, list_cors_headers
from pgrest.server.disconnect import DisconnectWatcher, Receive
from pgrest.server.log import Log
from pgrest.server.runner import RequestRunner, read_call
from pgrest.server.shared_metrics import Row, SharedMetrics
from pgrest.server.state import ServerState
from pgrest.server.timing import Timing
from pgrest.settings import ServerSettings, Source
from pgrest.sql.session import Session

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]
"""Of each name the first."""

_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
_DISCONNECTED = frozenset({"PGRST000", "PGRST001", "57P01", "57P02", "57P03"})


class RestServer:
    """`source` is where the settings came from, to be read again at a reload; without one they stay as they are."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        source: Source | None = None,
        log: Log | None = None,
        row: Row | None = None,
        give_up: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.live = ServerState(settings, source, log or Log(settings.log_level), row or SharedMetrics().row(), give_up)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._respond(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live_on(receive, send)

    async def start(self) -> None:
        """Until the first attempt to load the schema is over. A database that is down is tried for on and on."""
        self.live.start()
        await self.live.settled()

    async def stop(self) -> None:
        await self.live.stop()

    async def _live_on(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    # One request ----------------------------------------------------------------------------------------

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self.live.settings
        headers: Headers = dict(reversed(scope["headers"]))
        response = answer_preflight(scope["method"], headers, settings.cors_origins)
        if response is None:
            response = await self._answer(scope, receive, headers)
        if response is not None:
            await _send_response(send, response, _trace(settings, headers))

    async def _answer(self, scope: Scope, receive: Receive, headers: Headers) -> Response | None:
        """Returns None when the client has disconnected."""
        live, settings = self.live, self.live.settings
        session: Session | None = None
        timing = Timing()
        try:
            session = live.authenticator.authenticate(headers.get(b"authorization"), time.time())
        except PgrestError as error:
            response: Response | None = make_error_response(error)
        else:
            timing.mark("jwt")
            response = await self._answer_caller(scope, receive, headers, session, timing)
        if response is None:
            return None
        if live.log.shows_status(response.status):
            role = None if session is None else session.role
            live.log.log_request(scope, headers, response.status, role, _find_length(response))
        return _add_headers(response, list_cors_headers(scope["method"], headers, settings.cors_origins))

    async def _answer_caller(
        self, scope: Scope, receive: Receive, headers: Headers, session: Session, timing: Timing
    ) -> Response | None:
        disconnect: DisconnectWatcher | None = None
        try:
            body = await _read_body(scope["method"], headers, receive, self.live.settings.rest.max_body_bytes)
            if body is None:
                return None
            disconnect = DisconnectWatcher(receive)
            response = await RequestRunner(self.live, read_call(scope, body), session, timing).run()
        except PgrestError as error:
            if error.status == 503 and error.code in _DISCONNECTED:
                self.live.note_unavailable()
            response = make_error_response(error)
        except asyncio.CancelledError:
            if disconnect is None or not disconnect.swallow_cancel():
                raise
            return None
        except Exception as error:  # noqa: BLE001 - the edge of this server: whatever is left is a 500
            self.live.log.log_failure(error)
            response = make_error_response(errors.internal())
        finally:
            if disconnect is not None:
                disconnect.stop()
        if response.status == 503:
            return _add_headers(response, (("Retry-After", str(self.live.retry_seconds)),))
        return response


# Requests -----------------------------------------------------------------------------------------------


async def _read_body(method: str, headers: Headers, receive: Receive, limit: int) -> bytes | None:
    """None when the client went before it had sent all."""
    length = headers.get(b"content-length")
    if length is None and method in _BODILESS and b"transfer-encoding" not in headers:
        return b""
    if length is not None and length.isdigit() and int(length) > limit:
        raise errors.body_too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise errors.body_too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


# Responses ----------------------------------------------------------------------------------------------


def _add_headers(response: Response, added: Sequence[Header]) -> Response:
    """Keeps a header that a function has set."""
    given = {name.lower() for name, _ in response.headers}
    fresh = tuple(header for header in added if header[0].lower() not in given)
    return msgspec.structs.replace(response, headers=(*response.headers, *fresh)) if fresh else response


def _trace(settings: ServerSettings, headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    name = settings.trace_header
    return () if name is None else ((name.encode(), headers.get(name.lower().encode(), b"")),)


def _find_length(response: Response) -> str:
    return next((value for name, value in response.headers if name == "Content-Length"), "-")


async def _send_response(send: Send, response: Response, first: Sequence[tuple[bytes, bytes]]) -> None:
    headers = [*first, *((name.encode("latin-1", "replace"), value.encode()) for name, value in response.headers)]
    if _UNSENDABLE.search(b"\t".join(part for header in headers for part in header)):
        await _send_response(send, make_error_response(errors.bad_response_headers()), ())
        return
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
