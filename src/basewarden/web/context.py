"""What the edge knows about a request before its caller is identified."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

_KEY = "basewarden.context"
_VALUES = "basewarden.header_values"


class RequestContext(msgspec.Struct, frozen=True):
    """`client_address` is the peer's, or the forwarded one when the peer is a trusted proxy."""

    request_id: str
    client_address: str


def attach_context(scope: Any, context: RequestContext) -> None:
    scope[_KEY] = context


def scope_context(scope: Any) -> RequestContext:
    context: RequestContext = scope[_KEY]
    return context


def header_values(scope: Any) -> Mapping[bytes, bytes]:
    """The last value of each header of the request, by its name in lower case. On the hot path."""
    values: Mapping[bytes, bytes] | None = scope.get(_VALUES)
    if values is None:
        values = scope[_VALUES] = dict(scope["headers"])
    return values


async def request_context(request: Request) -> RequestContext:
    return scope_context(request.scope)
