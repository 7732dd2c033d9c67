"""The error body that all endpoints share."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from basewarden.errors import AppError

JSON_TYPE = "application/json; charset=utf-8"


class Internal(AppError):
    status = 500
    code = "internal"
    message = "Something went wrong on our side."

    @classmethod
    def of_request(cls, request_id: str) -> "Internal":
        return cls(details={"requestId": request_id})


def error_body(error: AppError) -> bytes:
    return msgspec.json.encode(error.body())


def error_response(error: AppError) -> Response:
    return Response(error_body(error), status_code=error.status, media_type=JSON_TYPE, headers=error.headers)


async def send_error(error: AppError, scope: Any, receive: Any, send: Any) -> None:
    await error_response(error)(scope, receive, send)


def wants_page(request: Request) -> bool:
    """Whether the path is a page: everything but /api and /static."""
    return not request.url.path.startswith(("/api/", "/static/"))
