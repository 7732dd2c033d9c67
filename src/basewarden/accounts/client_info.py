"""From where and with what somebody calls, as people recognise it in a list."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from basewarden.audit import Where
from basewarden.web.context import scope_context

_LONGEST_CLIENT = 200


async def request_where(request: Request) -> Where:
    client = request.headers.get("user-agent", "").strip()[:_LONGEST_CLIENT]
    return Where(scope_context(request.scope).client_address, client or None)


FromWhere = Annotated[Where, Depends(request_where)]
