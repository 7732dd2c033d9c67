"""Wiring: the only file besides `cli.py` that knows every feature."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from basewarden import __version__
from basewarden.accounts import (
    AccountLimits,
    Accounts,
    Attempts,
    PasswordCost,
    Passwords,
    Signins,
    signin_path,
)
from basewarden.accounts import pages as account_pages
from basewarden.accounts import routes as account_routes
from basewarden.connections import Agents, Connections, ConnectionTargets
from basewarden.connections import pages as connection_pages
from basewarden.connections import routes as connection_routes
from basewarden.core.logs import configure_logs
from basewarden.db import Database, Listener
from basewarden.errors import AppError, BadJSON, BadRequest, Invalid, MethodNotAllowed, NotFound, Unauthenticated
from basewarden.gateway import Callers, DataRoad, Projects, RateLimits, Road
from basewarden.journal import Recorder, Settler, ensure_partitions
from basewarden.journal import pages as journal_pages
from basewarden.journal import routes as journal_routes
from basewarden.settings import Settings, load_settings
from basewarden.undo import Undo
from basewarden.undo import pages as undo_pages
from basewarden.undo import routes as undo_routes
from basewarden.vault import Vault, make_keyring
from basewarden.web import Edge, Pages, Registry, redirect
from basewarden.web.assets import BUILD, asset_url
from basewarden.web.context import scope_context
from basewarden.web.responses import Internal, error_response, wants_page
from basewarden.workspace import router as workspace_router

_HERE = Path(__file__).parent
_FEATURES = ("accounts", "connections", "journal", "undo", "workspace")


def create_app(settings: Settings) -> Any:
    """The whole product as one ASGI application."""
    return assemble_app(build_registry(settings))


def create_app_from_environment() -> Any:
    """The factory that uvicorn's workers call."""
    return create_app(load_settings())


def build_registry(
    settings: Settings, *, limits: AccountLimits | None = None, cost: PasswordCost | None = None
) -> Registry:
    """The objects of one process; tests bring other limits and cheaper passwords."""
    registry = Registry()
    registry.add(settings)
    database = registry.add(Database(settings.database_url))
    listener = registry.add(Listener(settings.database_url))
    registry.add(Pages({name: _HERE / name / "templates" for name in _FEATURES}, asset_url))
    vault = registry.add(Vault(make_keyring(settings)))
    attempts = registry.add(Attempts(database, settings.secret))
    signins = registry.add(Signins(database, listener, settings))
    registry.add(Accounts(database, Passwords(cost or PasswordCost()), signins, attempts, limits or AccountLimits()))
    targets = registry.add(ConnectionTargets(database, listener, vault, settings))
    connections = registry.add(Connections(targets, vault, attempts, settings))
    agents = registry.add(Agents(database, listener, connections))
    registry.add(Callers(agents, signins, targets))
    registry.add(RateLimits(settings))
    projects = registry.add(Projects(targets, listener))
    recorder = registry.add(Recorder(settings.database_url, listener))
    registry.add(Road(recorder))
    settler = registry.add(Settler(database, projects.ask_status))
    registry.add(Undo(database, listener, projects, recorder, settler))
    return registry


def assemble_app(registry: Registry) -> Any:
    settings = registry.get(Settings)
    configure_logs(settings.log_level)
    road = DataRoad(
        _build_api(registry),
        registry.get(Callers),
        registry.get(RateLimits),
        registry.get(Projects),
        registry.get(Road),
    )
    return Edge(road, settings)


def _build_api(registry: Registry) -> FastAPI:
    app = FastAPI(
        title="Basewarden",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.registry = registry
    app.mount("/static", StaticFiles(directory=BUILD.parent, check_dir=False), name="static")
    for module in (
        account_routes,
        account_pages,
        connection_routes,
        connection_pages,
        journal_routes,
        journal_pages,
        undo_routes,
        undo_pages,
    ):
        app.include_router(module.router)
    app.include_router(workspace_router)
    _add_error_handlers(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    registry: Registry = app.state.registry
    async with AsyncExitStack() as stack:
        database = registry.get(Database)
        stack.push_async_callback(database.close)
        listener = registry.get(Listener)
        await listener.start()
        stack.push_async_callback(listener.stop)
        await _start_journal(registry, stack)
        yield


async def _start_journal(registry: Registry, stack: AsyncExitStack) -> None:
    """Ends in the other order: the recorder stores what is on its way before the projects close."""
    async with registry.get(Database).unit_of_work() as unit:
        await ensure_partitions(unit)
    stack.push_async_callback(registry.get(Projects).close)
    recorder = registry.get(Recorder)
    await recorder.start()
    stack.push_async_callback(recorder.stop)
    settler = registry.get(Settler)
    await settler.start()
    stack.push_async_callback(settler.stop)


def _add_error_handlers(app: FastAPI) -> None:
    async def on_app_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return _answer(request, error)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _answer(request, _describe_invalid(error))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _answer(request, _translate(error))

    async def on_unknown(request: Request, _: Exception) -> Response:
        """Answers; the error goes on to the edge, which logs it."""
        return _answer(request, Internal.of_request(scope_context(request.scope).request_id))

    app.add_exception_handler(Exception, on_unknown)
    app.add_exception_handler(AppError, on_app_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def _translate(error: HTTPException) -> AppError:
    """The framework's own refusals as ours. What the edge raised while a body was read is wrapped in one of them."""
    if isinstance(error.__cause__, AppError):
        return error.__cause__
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return NotFound()
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return MethodNotAllowed(headers=dict(error.headers or {}))
        case _:
            return BadRequest()


def _describe_invalid(error: RequestValidationError) -> AppError:
    errors = error.errors()
    if any(item["type"] == "json_invalid" for item in errors):
        return BadJSON()
    return Invalid(
        details=[
            {
                "field": ".".join(str(part) for part in item["loc"][1:]),
                "message": item["msg"].removeprefix("Value error, "),
            }
            for item in errors
        ]
    )


def _answer(request: Request, error: AppError) -> Response:
    """On a page who is not signed in goes to sign in, and comes back to what they wanted to see."""
    if not wants_page(request):
        return error_response(error)
    if isinstance(error, Unauthenticated):
        return redirect(signin_path(_find_way_back(request)))
    return _error_page(request, error)


def _find_way_back(request: Request) -> str:
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _error_page(request: Request, error: AppError) -> Response:
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
