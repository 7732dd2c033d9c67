"""A page for when the project's database does not answer, or does not let us: what happened, what to do, retry."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from basewarden.errors import AppError
from basewarden.web import Pages, Registry, redirect
from basewarden.web.responses import error_response
from basewarden.workspace.errors import DatabaseUnreachable, DataRefused
from basewarden.workspace.paths import TableElsewhere


class DataRoute(APIRoute):
    """A part of a page that htmx asked for gets the error as JSON, which becomes a toast."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_trouble(request: Request) -> Response:
            try:
                return await handle(request)
            except TableElsewhere as error:
                return redirect(error.path)
            except AppError as error:
                if "hx-request" in request.headers:
                    return error_response(error)
                if isinstance(error, DatabaseUnreachable | DataRefused):
                    return _show_trouble(request, error)
                raise

        return handle_trouble


def _show_trouble(request: Request, error: AppError) -> Response:
    registry: Registry = request.app.state.registry
    retry = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return registry.get(Pages).render(
        request,
        "workspace/trouble.html",
        status=error.status,
        is_unreachable=isinstance(error, DatabaseUnreachable),
        message=error.text,
        hint=error.hint,
        retry_href=retry if request.method == "GET" else None,
    )
