"""Wiring: the only file besides `cli.py` that knows every feature."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from basewarden import __version__
from basewarden.accounts import (
    ACCOUNT_PARTS,
    AccountLimits,
    Accounts,
    Attempts,
    Deletions,
    Devices,
    EmailChange,
    Export,
    Letters,
    MfaRequired,
    OwnSignins,
    PasswordCost,
    Passwords,
    Profiles,
    QuietJobs,
    Reauth,
    ReauthRequired,
    Resets,
    Signins,
    Verification,
    confirm_path,
    data_pages,
    data_routes,
    list_account_pruners,
    list_people_pruners,
    second_step_path,
    sessions_routes,
    settings_pages,
    signin_path,
)
from basewarden.accounts import account_pages as link_pages
from basewarden.accounts import account_routes as password_routes
from basewarden.accounts import pages as account_pages
from basewarden.accounts import routes as account_routes
from basewarden.accounts.github import GitHub, GitHubClient
from basewarden.accounts.github import pages as github_pages
from basewarden.accounts.github import routes as github_routes
from basewarden.accounts.passkeys import Passkeys
from basewarden.accounts.passkeys import pages as passkey_pages
from basewarden.accounts.passkeys import routes as passkey_routes
from basewarden.accounts.twofactor import Clock, TwoFactor, read_clock
from basewarden.accounts.twofactor import pages as two_factor_pages
from basewarden.accounts.twofactor import routes as two_factor_routes
from basewarden.audit import Audit
from basewarden.billing import (
    BILLING_PARTS,
    Billing,
    BillingJobs,
    BillingLeaving,
    BillingLetters,
    BillingProvider,
    Deliveries,
    Grants,
    Plans,
    Receipts,
    Retries,
    Returns,
    Usage,
)
from basewarden.billing import pages as billing_pages
from basewarden.billing import routes as billing_routes
from basewarden.billing.pruning import BILLING_PRUNERS, has_dealings
from basewarden.connections import (
    CONNECTION_PARTS,
    Agents,
    Blocked,
    ConnectionLeaving,
    Connections,
    ConnectionTargets,
    count_owned_connections,
    is_member_anywhere,
    list_in_shell,
)
from basewarden.connections import pages as connection_pages
from basewarden.connections import routes as connection_routes
from basewarden.contact import Contact
from basewarden.contact import pages as contact_pages
from basewarden.core.logs import configure_logs
from basewarden.core.reporting import Reporter
from basewarden.core.tasks import end_task
from basewarden.core.tracing import start_tracing, stop_tracing
from basewarden.db import Database, Listener
from basewarden.errors import AppError, BadJSON, BadRequest, MethodNotAllowed, NotFound, Unauthenticated
from basewarden.gateway import Callers, DataRoad, DirectBackend, ForwardRoad, Lending, Projects, RateLimits, Roads
from basewarden.jobs import JOB_PRUNERS, Jobs
from basewarden.journal import (
    JOURNAL_PARTS,
    JournalLeaving,
    Recorder,
    RefusalBook,
    Settler,
    count_refusals_by_agent,
    count_refusals_since,
    ensure_partitions,
    list_journal_pruners,
    refusal_pages,
    refusal_routes,
)
from basewarden.journal import pages as journal_pages
from basewarden.journal import routes as journal_routes
from basewarden.mail import LETTER_PRUNERS, Mail
from basewarden.operations import (
    Configured,
    Health,
    Metrics,
    RequestCounts,
    docs_pages,
    health_routes,
    icon_routes,
    metrics_routes,
    retention_routes,
    status_pages,
)
from basewarden.operations.liveness import Liveness
from basewarden.operations.retention import Retention
from basewarden.settings import Settings, load_settings
from basewarden.undo import Undo
from basewarden.undo import pages as undo_pages
from basewarden.undo import routes as undo_routes
from basewarden.vault import Vault, make_keyring
from basewarden.web import Edge, Pages, Registry, Shell, redirect
from basewarden.web.assets import BUILD, asset_url
from basewarden.web.bodies import WholeBodies
from basewarden.web.compression import Compression
from basewarden.web.context import scope_context
from basewarden.web.invalid import describe_invalid
from basewarden.web.openapi import describe_api
from basewarden.web.responses import Internal, error_response, wants_page
from basewarden.web.routing import resolve_routes
from basewarden.web.static import BuiltFiles
from basewarden.workspace import router as workspace_router

_HERE = Path(__file__).parent
_FEATURES = ("accounts", "audit", "billing", "connections", "contact", "journal", "operations", "undo", "workspace")


def create_app(settings: Settings) -> Any:
    """The whole product as one ASGI application."""
    return assemble_app(build_registry(settings))


def create_app_from_environment() -> Any:
    """The factory that uvicorn's workers call."""
    return create_app(load_settings())


def build_registry(
    settings: Settings,
    *,
    limits: AccountLimits | None = None,
    cost: PasswordCost | None = None,
    clock: Clock = read_clock,
) -> Registry:
    """The objects of one process; tests bring other limits, cheaper passwords and a clock for codes by time."""
    registry = Registry()
    registry.add(settings)
    registry.add(Reporter(settings.sentry_dsn, __version__))
    database = registry.add(Database(settings.database_url))
    listener = registry.add(Listener(settings.database_url))
    pages = registry.add(Pages({name: _HERE / name / "templates" for name in _FEATURES}, asset_url))
    pages.environment.globals["has_github"] = settings.has_github
    pages.environment.globals["can_use_passkeys"] = settings.can_use_passkeys
    vault = registry.add(Vault(make_keyring(settings)))
    attempts = registry.add(Attempts(database, settings.secret))
    signins = registry.add(Signins(database, listener, settings))
    jobs = registry.add(Jobs(database))
    registry.add(Audit(database))
    letters = registry.add(Letters(registry.add(Mail(settings, database, vault, jobs)), settings))
    pages.environment.globals["sends_letters"] = letters.is_configured
    registry.add(Shell(partial(list_in_shell, database)))
    _add_accounts(registry, QuietJobs(jobs, vault), limits or AccountLimits(), cost or PasswordCost())
    _add_two_factor(registry, limits or AccountLimits(), clock)
    _add_passkeys(registry, limits or AccountLimits())
    _add_github(registry, limits or AccountLimits())
    _add_settings(registry)
    plans = _add_billing(registry)
    targets = registry.add(ConnectionTargets(database, listener, vault, settings))
    connections = registry.add(
        Connections(database=database, targets=targets, vault=vault, attempts=attempts, settings=settings, plans=plans)
    )
    projects = registry.add(Projects(targets, listener, settings.origin, Lending.of(settings)))
    agents = registry.add(Agents(database, listener, connections, projects.find_unknown))
    registry.add(Callers(agents, signins, targets, settings))
    registry.add(RateLimits(settings))
    recorder = registry.add(Recorder(settings.database_url, listener))
    registry.add(RefusalBook(database))
    registry.add(Blocked(count_refusals_since, count_refusals_by_agent))
    registry.add(Roads(DirectBackend(recorder), ForwardRoad(recorder)))
    settler = registry.add(Settler(database, projects.ask_status))
    budget = settings.undo_megabytes * 1024 * 1024
    registry.add(Undo(database, listener, projects, recorder, settler, projects.find_reach, budget_bytes=budget))
    _add_data(registry)
    _add_operations(registry)
    _add_retention(registry)
    return registry


def _add_accounts(registry: Registry, quiet: QuietJobs, limits: AccountLimits, cost: PasswordCost) -> None:
    settings, database, signins = registry.get(Settings), registry.get(Database), registry.get(Signins)
    attempts, letters, audit = registry.get(Attempts), registry.get(Letters), registry.get(Audit)
    passwords = registry.add(Passwords(cost))
    email_change = registry.add(
        EmailChange(signins=signins, attempts=attempts, limits=limits, letters=letters, audit=audit, settings=settings)
    )
    verification = registry.add(
        Verification(
            signins=signins,
            attempts=attempts,
            limits=limits,
            letters=letters,
            email_change=email_change,
            audit=audit,
            settings=settings,
        )
    )
    registry.add(
        Accounts(
            database=database,
            passwords=passwords,
            signins=signins,
            attempts=attempts,
            limits=limits,
            letters=letters,
            verification=verification,
            quiet=quiet,
            audit=audit,
            devices=registry.add(Devices(settings, settings.secret)),
        )
    )
    registry.add(
        Resets(
            database=database,
            passwords=passwords,
            signins=signins,
            attempts=attempts,
            limits=limits,
            letters=letters,
            quiet=quiet,
            audit=audit,
            settings=settings,
        )
    )


def _add_two_factor(registry: Registry, limits: AccountLimits, clock: Clock) -> None:
    registry.add(
        TwoFactor(
            database=registry.get(Database),
            vault=registry.get(Vault),
            passwords=registry.get(Passwords),
            signins=registry.get(Signins),
            accounts=registry.get(Accounts),
            attempts=registry.get(Attempts),
            audit=registry.get(Audit),
            letters=registry.get(Letters),
            limits=limits,
            clock=clock,
        )
    )


def _add_passkeys(registry: Registry, limits: AccountLimits) -> None:
    registry.add(
        Passkeys(
            database=registry.get(Database),
            signins=registry.get(Signins),
            attempts=registry.get(Attempts),
            letters=registry.get(Letters),
            audit=registry.get(Audit),
            settings=registry.get(Settings),
            limits=limits,
        )
    )


def _add_github(registry: Registry, limits: AccountLimits) -> None:
    registry.add(
        GitHub(
            database=registry.get(Database),
            client=GitHubClient(registry.get(Settings)),
            signins=registry.get(Signins),
            attempts=registry.get(Attempts),
            letters=registry.get(Letters),
            audit=registry.get(Audit),
            limits=limits,
        )
    )


def _add_settings(registry: Registry) -> None:
    signins, audit = registry.get(Signins), registry.get(Audit)
    registry.add(Profiles(signins=signins, audit=audit, github=registry.get(GitHub)))
    registry.add(OwnSignins(signins=signins, audit=audit))
    registry.add(Reauth(accounts=registry.get(Accounts), signins=signins, audit=audit))


def _add_billing(registry: Registry) -> Plans:
    settings, database = registry.get(Settings), registry.get(Database)
    plans = registry.add(Plans(settings))
    provider = registry.add(BillingProvider(settings))
    letters = registry.add(BillingLetters(registry.get(Mail), settings))
    registry.add(
        Billing(database=database, provider=provider, plans=plans, attempts=registry.get(Attempts), settings=settings)
    )
    deliveries = registry.add(Deliveries(database, letters))
    registry.add(Returns(database=database, provider=provider, deliveries=deliveries, attempts=registry.get(Attempts)))
    registry.add(Receipts(database, deliveries))
    registry.add(Retries(database=database, jobs=registry.get(Jobs), deliveries=deliveries, letters=letters))
    registry.add(Grants())
    registry.add(BillingJobs(database=database, jobs=registry.get(Jobs), letters=letters, provider=provider))
    registry.add(Usage(count_owned_connections))
    return plans


def _add_operations(registry: Registry) -> None:
    settings, database = registry.get(Settings), registry.get(Database)
    health = registry.add(Health(settings.database_url, Configured.read(settings)))
    registry.add(Metrics(database, health, registry.add(RequestCounts())))
    registry.add(Contact(registry.get(Mail), registry.get(Attempts), settings))


def _add_data(registry: Registry) -> None:
    """What each feature hands out of a person, and what it does when one leaves."""
    database, letters, audit = registry.get(Database), registry.get(Letters), registry.get(Audit)
    registry.add(
        Export(
            database=database,
            attempts=registry.get(Attempts),
            letters=letters,
            audit=audit,
            parts=(*ACCOUNT_PARTS, *BILLING_PARTS, *CONNECTION_PARTS, *JOURNAL_PARTS),
        )
    )
    registry.add(
        Deletions(
            database=database,
            signins=registry.get(Signins),
            letters=letters,
            audit=audit,
            jobs=registry.get(Jobs),
            leaving=(
                BillingLeaving(registry.get(BillingJobs)),
                ConnectionLeaving(registry.get(ConnectionTargets)),
                JournalLeaving(),
            ),
        )
    )


def _add_retention(registry: Registry) -> None:
    """In this order: what refers to something is pruned before it. The sentry's scans and findings belong here too."""
    settings, deletions, letters = registry.get(Settings), registry.get(Deletions), registry.get(Letters)
    signups = timedelta(days=settings.keep_signups_days)
    ties = (is_member_anywhere, has_dealings)
    pruners = (
        *list_journal_pruners(timedelta(days=settings.keep_journal_days)),
        *list_people_pruners(deletions, letters, keep_signups=signups, ties=ties),
        *list_account_pruners(keep_signins=timedelta(days=settings.keep_signins_days)),
        *BILLING_PRUNERS,
        *LETTER_PRUNERS,
        *JOB_PRUNERS,
    )
    registry.add(Retention(registry.get(Database), registry.get(Jobs), pruners))


def assemble_app(registry: Registry) -> Any:
    settings = registry.get(Settings)
    configure_logs(settings.log_level, registry.get(Reporter).report)
    road = DataRoad(
        WholeBodies(Compression(_build_api(registry))),
        registry.get(Callers),
        registry.get(RateLimits),
        registry.get(Projects),
        registry.get(Roads),
        registry.get(RefusalBook),
    )
    return Edge(Liveness(road), settings, registry.get(RequestCounts).observe if settings.metrics_token else None)


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
    app.mount("/static", BuiltFiles(BUILD), name="static")
    for module in (
        account_routes,
        account_pages,
        data_routes,
        data_pages,
        password_routes,
        link_pages,
        two_factor_routes,
        two_factor_pages,
        passkey_routes,
        passkey_pages,
        github_routes,
        github_pages,
        sessions_routes,
        settings_pages,
        billing_routes,
        billing_pages,
        connection_routes,
        connection_pages,
        journal_routes,
        refusal_routes,
        refusal_pages,
        journal_pages,
        undo_routes,
        undo_pages,
        retention_routes,
        contact_pages,
        health_routes,
        metrics_routes,
        status_pages,
        docs_pages,
        icon_routes,
    ):
        app.include_router(module.router)
    app.include_router(workspace_router)
    if registry.get(Settings).metrics_token:  # takes a quarter of a second, for nothing where nobody may read them
        registry.get(RequestCounts).learn_routes(app.routes)
    _add_error_handlers(app)
    app.openapi = cache(partial(describe_api, app))  # type: ignore[method-assign]  # FastAPI's documented way
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    registry: Registry = app.state.registry
    async with AsyncExitStack() as stack:
        stack.push_async_callback(registry.get(Reporter).stop)
        start_tracing(registry.get(Settings).otel_endpoint, __version__)
        stack.push_async_callback(stop_tracing)
        database = registry.get(Database)
        stack.push_async_callback(database.close)
        listener = registry.get(Listener)
        await listener.start()
        stack.push_async_callback(listener.stop)
        stack.push_async_callback(registry.get(Health).stop)
        stack.push_async_callback(registry.get(Metrics).stop)
        await _start_journal(registry, stack)
        stack.push_async_callback(registry.get(BillingProvider).close)
        jobs = registry.get(Jobs)
        await jobs.start()
        stack.push_async_callback(jobs.stop)
        stack.push_async_callback(end_task, asyncio.create_task(resolve_routes(app)))
        yield


async def _start_journal(registry: Registry, stack: AsyncExitStack) -> None:
    """Ends in the other order: the recorder stores what is on its way before the projects close."""
    async with registry.get(Database).unit_of_work() as unit:
        await ensure_partitions(unit)
    stack.push_async_callback(registry.get(Projects).close)
    recorder = registry.get(Recorder)
    await recorder.start()
    stack.push_async_callback(recorder.stop)
    refusals = registry.get(RefusalBook)
    await refusals.start()
    stack.push_async_callback(refusals.stop)
    settler = registry.get(Settler)
    await settler.start()
    stack.push_async_callback(settler.stop)


def _add_error_handlers(app: FastAPI) -> None:
    async def on_app_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return _answer(request, error)

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _answer(request, describe_invalid(error.errors()))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _answer(request, _translate(error))

    async def on_departure(request: Request, _: Exception) -> Response:
        """For the log: whoever would have been answered has gone."""
        return _answer(request, BadRequest("The request was cut off."))

    async def on_unknown(request: Request, _: Exception) -> Response:
        """Answers; the error goes on to the edge, which logs it."""
        return _answer(request, Internal.of_request(scope_context(request.scope).request_id))

    app.add_exception_handler(Exception, on_unknown)
    app.add_exception_handler(AppError, on_app_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_departure)


def _translate(error: HTTPException) -> AppError:
    """The framework's own refusals as ours. What the edge raised while a body was read is wrapped in one of them."""
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


def _answer(request: Request, error: AppError) -> Response:
    """On a page who is not signed in goes to sign in, and comes back to what they wanted to see."""
    if not wants_page(request):
        return error_response(error)
    if isinstance(error, MfaRequired):
        return redirect(second_step_path(_find_way_back(request)))
    if isinstance(error, ReauthRequired):
        return redirect(confirm_path(_find_way_back(request)))
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
