"""Sends requests to a project's API for a caller, and tells PostgREST's errors from those of its gateway."""

import asyncio
import zlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NoReturn

import msgspec

from basewarden.connections import ConnectionFailed, Reason
from basewarden.connections.rest import (
    HTTPConnection,
    HTTPFailure,
    NoResponse,
    PoolExhausted,
    RawHeader,
    ReadTimeout,
    RestAddress,
    RestClient,
    explain_response,
    is_key_refused,
    is_not_forwarded,
    is_postgrest_error,
)
from basewarden.errors import AppError
from basewarden.gateway.api.headers import PASSED_OUT, find_header, pass_headers
from basewarden.gateway.api.streaming import MOST_KEPT_BYTES, explain_broken
from basewarden.gateway.api.upstream import UpstreamRequest, UpstreamResponse
from basewarden.gateway.errors import (
    OutcomeUnknown,
    UpstreamInvalid,
    UpstreamKeyRefused,
    UpstreamLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from basewarden.gateway.recording.sqlstates import INSUFFICIENT_PRIVILEGE
from pgrest import PgrestError

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REPRESENTS: Final = frozenset({"POST", "PUT", "PATCH"})
_TOTAL_SECONDS = 150.0
_MAX_ERROR_BYTES = 1024 * 1024
_LAST_STATUS = 599
_DEFAULT_RETRY_SECONDS = 5
_TIMED_OUT = frozenset({504, 522, 524, 544})
_BUSY = "All connections to the project's API are in use. Nothing was changed; try again in a moment."


class ProjectUpstream:
    """The `Upstream` of one project. Redirects are not followed, and no credential but the project's key goes out."""

    def __init__(self, client: RestClient, address: RestAddress) -> None:
        self.client = client
        self._address = address

    async def ask(self, request: UpstreamRequest) -> UpstreamResponse:
        """The whole answer, with the headers that may be passed on; what PostgREST refuses is an answer too.

        Raises UpstreamUnavailable, or one of its kinds, where nothing can have happened; OutcomeUnknown where
        it may have. Of the request's headers only those on the list go out.
        """
        is_safe = request.method in _SAFE
        try:
            async with asyncio.timeout(_TOTAL_SECONDS):
                connection = await open_exchange(self.client, self._make_data(request), method=request.method)
                try:
                    raw = list(connection.headers)
                    status = connection.status
                    body = await self.client.read_whole(connection, MOST_KEPT_BYTES)
                finally:
                    self.client.release(connection)
        except TimeoutError:
            raise (UpstreamTimeout if is_safe else OutcomeUnknown) from None
        except HTTPFailure as error:
            raise explain_failure(error, is_safe=is_safe) from None
        if find_header(raw, b"content-encoding") not in (b"", b"identity"):
            raise (UpstreamInvalid if is_safe else OutcomeUnknown) from None
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            refusal = _read_error_of(status, raw, body)
            check_gateway(status, refusal, raw, is_safe=is_safe)
            status = find_status(status, refusal)
        return UpstreamResponse(status, tuple(pass_headers(raw, self._address, shows_profile=True)), body)

    def _make_data(self, request: UpstreamRequest) -> bytes:
        query = f"?{request.query}" if request.query else ""
        passed = (pair for pair in request.headers if pair[0].lower() in PASSED_OUT)
        headers = (*passed, ("accept-encoding", "identity"))
        length = len(request.body) if request.body or request.method in _REPRESENTS else None
        head = self.client.make_head(request.method, f"{request.path}{query}", headers, length)
        return head + request.body


async def open_exchange(client: RestClient, data: bytes, *, method: str) -> HTTPConnection:
    """The connection with the head of the answer read; `client.done` must follow.

    Raises UpstreamUnavailable where nothing was sent, and HTTPFailure.
    """
    try:
        return await client.send(data, is_head=method == "HEAD", is_repeatable=method in _SAFE)
    except ConnectionFailed as error:
        raise explain_unreachable(error) from None
    except PoolExhausted:
        raise UpstreamUnavailable(_BUSY) from None


async def raise_error_response(client: RestClient, connection: HTTPConnection) -> NoReturn:
    """Raises the error of a response to a read: PostgREST's own unchanged, a gateway's as one of ours."""
    status, raw = connection.status, list(connection.headers)
    try:
        async with asyncio.timeout(_TOTAL_SECONDS):
            body = await client.read_whole(connection, _MAX_ERROR_BYTES)
    except TimeoutError:
        raise UpstreamTimeout from None
    except HTTPFailure as error:
        raise explain_failure(error, is_safe=True) from None
    finally:
        client.release(connection)
    refusal = _read_error_of(status, raw, body)
    check_gateway(status, refusal, raw, is_safe=True)
    if not is_postgrest_error(refusal):
        raise UpstreamInvalid(details={"status": status})
    raise PgrestError(
        find_status(status, refusal),
        refusal["code"],
        refusal["message"],
        refusal.get("details"),
        refusal.get("hint"),
    )


def explain_unreachable(error: ConnectionFailed) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        f"{error.for_field('url').text} Nothing was changed.", details={"reason": error.reason.value}
    )


def _read_error_of(status: int, raw: Sequence[RawHeader], body: bytes) -> dict[str, Any]:
    """A status that HTTP does not have is no word of PostgREST's, whatever the body says."""
    return read_error_body(raw, body) if status <= _LAST_STATUS else {}


def read_error_body(headers: Sequence[RawHeader], body: bytes) -> dict[str, Any]:
    """The JSON object of an error; of one without a body, what its headers say of it."""
    if len(body) > _MAX_ERROR_BYTES:
        return {}  # a gateway's page, or a lie
    text = _inflate(body) if find_header(headers, b"content-encoding") == b"gzip" else body
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    return _read_from_headers(headers) if not body else {}


def check_gateway(status: int, refusal: dict[str, Any], headers: Sequence[RawHeader], *, is_safe: bool) -> None:
    """Raises an error for a response of the project's gateway; PostgREST's own errors are responses to pass on."""
    if is_key_refused(status, refusal):
        raise UpstreamKeyRefused(
            hint="See the connection's health check; its owner can set another key in the settings."
        )
    if is_postgrest_error(refusal):
        return
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise UpstreamLimited(headers={"Retry-After": str(_read_seconds(headers))})
    explained = explain_response(status, refusal)
    if is_not_forwarded(status, refusal):
        raise UpstreamUnavailable(f"{explained.text} Nothing was changed.", details={"reason": explained.reason.value})
    if not is_safe:
        may_be_done = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status < HTTPStatus.BAD_REQUEST
        if may_be_done or status == HTTPStatus.REQUEST_TIMEOUT:
            raise OutcomeUnknown(details={"status": status})
        raise UpstreamUnavailable(f"{explained.text} Nothing was changed.", details={"status": status})
    _raise_of_read(status, explained)


def find_status(status: int, refusal: dict[str, Any]) -> int:
    """PostgREST asks the anonymous role to sign in; our caller has, so it gets 403, as on the direct backend."""
    is_denied = status == HTTPStatus.UNAUTHORIZED and refusal.get("code") == INSUFFICIENT_PRIVILEGE
    return HTTPStatus.FORBIDDEN.value if is_denied else status


def _raise_of_read(status: int, explained: ConnectionFailed) -> None:
    details = {"status": status, "reason": explained.reason.value}
    if status in _TIMED_OUT:
        raise UpstreamTimeout(details=details)
    if explained.reason is Reason.PROJECT_AWAY:
        raise UpstreamUnavailable(f"{explained.text} Nothing was changed.", details=details)
    raise UpstreamInvalid(explained.text, details=details, hint=explained.hint)


def explain_failure(error: HTTPFailure, *, is_safe: bool) -> AppError:
    if not is_safe:
        return OutcomeUnknown()
    if isinstance(error, ReadTimeout):
        return UpstreamTimeout()
    if isinstance(error, NoResponse):
        return UpstreamUnavailable("The project's API closed the connection without a response. Try again.")
    return explain_broken(error)


def _inflate(body: bytes) -> bytes:
    """As much as an error could have to say: a small body may be a large one in disguise."""
    try:
        return zlib.decompressobj(wbits=31).decompress(body, _MAX_ERROR_BYTES)
    except zlib.error:
        return b""


def _read_from_headers(headers: Sequence[RawHeader]) -> dict[str, Any]:
    """An answer to HEAD: newer versions name the code in Proxy-Status, older ones leave it at a bare challenge."""
    _, found, code = find_header(headers, b"proxy-status").decode("latin-1").partition("error=")
    if found and code:
        return {"code": code.strip(), "message": ""}
    if find_header(headers, b"www-authenticate").strip() == b"Bearer":
        return {"code": INSUFFICIENT_PRIVILEGE, "message": ""}
    return {}


def _read_seconds(headers: Sequence[RawHeader]) -> int:
    seconds = find_header(headers, b"retry-after")
    return int(seconds) if seconds.isdigit() and len(seconds) < 6 else _DEFAULT_RETRY_SECONDS
