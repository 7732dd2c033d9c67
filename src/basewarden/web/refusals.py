"""Responses to requests that exceed a budget before a handler sees them."""

import secrets
from collections.abc import Iterable
from http import HTTPStatus

from basewarden.errors import AppError
from basewarden.web.responses import JSON_TYPE, error_body


class BadHTTP(AppError):
    status = 400
    code = "bad_http"
    message = "This is not a well-formed HTTP/1.1 request."


class RequestTimeout(AppError):
    status = 408
    code = "request_timeout"
    message = "The request did not arrive in time."


class HeadTooLarge(AppError):
    status = 431
    code = "head_too_large"
    message = "The request line and headers are too large."


class TooManyConnections(AppError):
    status = 429
    code = "too_many_connections"
    message = "Too many connections are open from this address. Close some, or reuse them."


class Overloaded(AppError):
    status = 503
    code = "overloaded"
    message = "The server has no free connections. Try again in a moment."


def make_refusal(error: AppError, headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, str]:
    """Returns a whole response as bytes, after which the connection is closed, and its request id."""
    request_id, body = secrets.token_hex(8), error_body(error)
    own = {
        "content-type": JSON_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-request-id": request_id,
        **error.headers,
    }
    lines = [b"%s: %s\r\n" % (name, value) for name, value in headers]
    lines += [f"{name}: {value}\r\n".encode() for name, value in own.items()]
    start = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n".encode()
    return b"".join([start, *lines, b"\r\n", body]), request_id
