"""What the edge knows about a request before its caller is identified."""

from typing import Any

import msgspec
from starlette.requests import Request

_KEY = "basewarden.context"


class RequestContext(msgspec.Struct, frozen=True):
    """`client_address` is the peer's, or the forwarded one when the peer is a trusted proxy."""

    request_id: str
    client_address: str


def attach_context(scope: Any, context: RequestContext) -> None:
    scope[_KEY] = context


def scope_context(scope: Any) -> RequestContext:
    context: RequestContext = scope[_KEY]
    return context


async def request_context(request: Request) -> RequestContext:
    return scope_context(request.scope)
