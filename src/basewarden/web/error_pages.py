"""Answers of requests that failed: the framework's errors as ours, as JSON, as a page, or as the way to sign in."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from basewarden.errors import AppError, BadJSON, BadRequest, MethodNotAllowed, NotFound
from basewarden.web.context import scope_context
from basewarden.web.invalid import describe_invalid
from basewarden.web.pages import Pages, redirect
from basewarden.web.responses import Internal, error_response, wants_page

SignInPaths = Mapping[type[AppError], Callable[[str], str]]
"""By error class: makes the path that a page redirects to, from the path to return to. The first that fits is used."""


def add_error_handlers(app: FastAPI, sign_in_paths: SignInPaths) -> None:
    async def on_app_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return _respond(request, error, sign_in_paths)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _respond(request, describe_invalid(error.errors()), sign_in_paths)

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _respond(request, translate_error(error), sign_in_paths)

    async def on_disconnect(request: Request, _: Exception) -> Response:
        """The client has disconnected; the answer is for the log."""
        return _respond(request, BadRequest("The request ended before its body was complete."), sign_in_paths)

    async def on_unknown(request: Request, _: Exception) -> Response:
        """Starlette raises the error again after the answer, and the edge logs it."""
        return _respond(request, Internal.of_request(scope_context(request.scope).request_id), sign_in_paths)

    app.add_exception_handler(Exception, on_unknown)
    app.add_exception_handler(AppError, on_app_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_disconnect)


def translate_error(error: HTTPException) -> AppError:
    """The framework's error as ours. It wraps what the edge raised while a body was read."""
    if isinstance(error.__cause__, AppError):
        return error.__cause__
    if isinstance(error.__cause__, ValueError | RecursionError):
        return BadJSON()
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound()
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return MethodNotAllowed(headers=dict(error.headers or {}))
        case _:
            return BadRequest()


def _respond(request: Request, error: AppError, sign_in_paths: SignInPaths) -> Response:
    """On a page, a person who must sign in is redirected there, and returns to the page after it."""
    if not wants_page(request):
        return error_response(error)
    for kind, make_path in sign_in_paths.items():
        if isinstance(error, kind):
            return redirect(make_path(_find_return_path(request)))
    return _render_error(request, error)


def _find_return_path(request: Request) -> str:
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _render_error(request: Request, error: AppError) -> Response:
    response: Response = request.app.state.registry.get(Pages).render(
        request,
        "error.html",
        status=error.status,
        title=HTTPStatus(error.status).phrase,
        message=error.text,
        hint=error.hint,
        request_id=scope_context(request.scope).request_id,
        back_href="/",
    )
    response.headers.update(error.headers)
    return response
