"""The page for errors of a project's database: what happened, what to do, and a link to retry."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from basewarden.errors import AppError
from basewarden.web import Pages, Registry, error_response, read_target, redirect
from basewarden.workspace.errors import DatabaseUnreachable, DataRefused
from basewarden.workspace.paths import TableRedirect


class DataRoute(APIRoute):
    """Renders errors as a page, or as JSON for requests of htmx, which shows a toast."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_error(request: Request) -> Response:
            try:
                return await handle(request)
            except TableRedirect as error:
                return redirect(error.path)
            except AppError as error:
                if "hx-request" in request.headers:
                    return error_response(error)
                if isinstance(error, DatabaseUnreachable | DataRefused):
                    return _render_error(request, error)
                raise

        return handle_error


def _render_error(request: Request, error: AppError) -> Response:
    registry: Registry = request.app.state.registry
    return registry.get(Pages).render(
        request,
        "workspace/trouble.html",
        status=error.status,
        is_unreachable=isinstance(error, DatabaseUnreachable),
        message=error.text,
        hint=error.hint,
        retry_href=read_target(request) if request.method == "GET" else None,
    )
