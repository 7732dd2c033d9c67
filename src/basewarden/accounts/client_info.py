"""The client of a request: its IP address and its User-Agent header."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from basewarden.audit import ClientInfo
from basewarden.web import scope_context

_MAX_CLIENT_LENGTH = 200


async def read_client_info(request: Request) -> ClientInfo:
    client = request.headers.get("user-agent", "").strip()[:_MAX_CLIENT_LENGTH]
    return ClientInfo(scope_context(request.scope).client_address, client or None)


ClientInfoDep = Annotated[ClientInfo, Depends(read_client_info)]
