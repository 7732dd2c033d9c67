"""Answers of requests that failed: the framework's errors as ours, as JSON, as a page, or as the way to sign in."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from basewarden.errors import AppError, BadJSON, BadRequest, MethodNotAllowed, NotFound
from basewarden.web.context import scope_context
from basewarden.web.invalid import describe_invalid
from basewarden.web.pages import Pages, redirect
from basewarden.web.responses import Internal, error_response, wants_page
from basewarden.web.shell import ShowVisitor
from basewarden.web.targets import read_target

SignInPaths = Mapping[type[AppError], Callable[[str], str]]
"""By error class: makes the path that a page redirects to, from the path to return to. The first that fits is used."""

_Respond = Callable[[Request, AppError], Awaitable[Response]]
_TITLES = {
    HTTPStatus.BAD_REQUEST: "This request is malformed",
    HTTPStatus.FORBIDDEN: "No access",
    HTTPStatus.NOT_FOUND: "Page not found",
    HTTPStatus.CONFLICT: "This is no longer up to date",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Too large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "This address or form is not valid",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An error on our side",
    HTTPStatus.SERVICE_UNAVAILABLE: "Temporarily unavailable",
}
_NO_ADDRESS = "Not found. There is nothing at this address."
_NO_SUCH = "There is no such "
_LONGEST_PATH = 80
_GONE = "It may have been deleted, or you have no access to it."
_RETRIED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)


def add_error_handlers(app: FastAPI, sign_in_paths: SignInPaths, show_visitor: ShowVisitor) -> None:
    """`show_visitor` keeps a signed-in person's frame around the page of an error."""
    respond = _make_responder(sign_in_paths, show_visitor)

    async def on_app_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return await respond(request, error)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return await respond(request, describe_invalid(error.errors()))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return await respond(request, translate_error(error))

    async def on_disconnect(request: Request, _: Exception) -> Response:
        """The client has disconnected; the answer is for the log."""
        return await respond(request, BadRequest("The request ended before its body was complete."))

    async def on_unknown(request: Request, _: Exception) -> Response:
        """Starlette raises the error again after the answer, and the edge logs it."""
        return await respond(request, Internal.of_request(scope_context(request.scope).request_id))

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
            return NotFound(_NO_ADDRESS)
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return MethodNotAllowed(headers=dict(error.headers or {}))
        case _:
            return BadRequest()


def _make_responder(sign_in_paths: SignInPaths, show_visitor: ShowVisitor) -> _Respond:
    """On a page, a person who must sign in is redirected there, and returns to the page after it."""

    async def respond(request: Request, error: AppError) -> Response:
        if not wants_page(request):
            return error_response(error)
        for kind, make_path in sign_in_paths.items():
            if isinstance(error, kind):
                return redirect(make_path(_find_return_path(request)))
        if isinstance(error, MethodNotAllowed) and (above := _find_page_above(request)) is not None:
            return redirect(above)
        if error.page_href is not None:
            return redirect(error.page_href)
        if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:  # above, the lookup may be what has failed
            await show_visitor(request)
        return _render_error(request, error)

    return respond


def _find_page_above(request: Request) -> str | None:
    """The nearest page above an address that only takes a form. It is in the address bar while the answer is read."""
    if request.method not in ("GET", "HEAD"):
        return None
    above = request.url.path
    while (above := above.rpartition("/")[0]) not in ("", "/"):
        scope = {**request.scope, "path": above, "method": "GET"}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            return above
    return "/"


def _find_return_path(request: Request) -> str:
    return read_target(request) if request.method == "GET" else "/"


def _render_error(request: Request, error: AppError) -> Response:
    title, message = _name_error(error, request.url.path)
    response: Response = request.app.state.registry.get(Pages).render(
        request,
        "error.html",
        status=error.status,
        title=title,
        message=message,
        hint=error.hint,
        fields=_list_fields(error.details),
        request_id=scope_context(request.scope).request_id,
        retry_href=_find_return_path(request) if error.status in _RETRIED and request.method == "GET" else None,
    )
    response.headers.update(error.headers)
    return response


def _name_error(error: AppError, path: str) -> tuple[str, str]:
    """The title and the sentence below it. What is not there is the title, where the error names it."""
    if error.status == HTTPStatus.NOT_FOUND and error.text.startswith(_NO_SUCH):
        return error.text.rstrip("."), _GONE
    if isinstance(error, NotFound) and (error.text == _NO_ADDRESS or path.startswith("/docs/")):
        shown = path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}…"
        return _TITLES[HTTPStatus.NOT_FOUND], f"There is no page at {shown}. Check the address for a typing error."
    if isinstance(error, NotFound):
        return _TITLES[HTTPStatus.NOT_FOUND], error.text.removeprefix("Not found. ")
    title = _TITLES.get(HTTPStatus(error.status), HTTPStatus(error.status).phrase)
    return title, error.text.removeprefix(f"{title}. ")


def _list_fields(details: Any) -> list[tuple[str, str]]:
    """Lists the fields that the details of a 422 name, each with its message."""
    if not isinstance(details, list):
        return []
    return [(item["field"], item["message"]) for item in details if isinstance(item, dict) and "field" in item]
