"""Puts the features together; besides `cli.py`, the only file that knows all of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI

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
from basewarden.audit import wiring as audit
from basewarden.billing import wiring as billing
from basewarden.connections import wiring as connections
from basewarden.contact import wiring as contact
from basewarden.core.logs import configure_logs
from basewarden.core.reporting import Reporter
from basewarden.core.tasks import end_task
from basewarden.core.tracing import start_tracing, stop_tracing
from basewarden.db import Database, Listener, Pruner
from basewarden.errors import Unauthenticated
from basewarden.gateway import wiring as gateway
from basewarden.jobs import Jobs
from basewarden.jobs import wiring as jobs
from basewarden.journal import wiring as journal
from basewarden.mail import Mail
from basewarden.mail import wiring as mail
from basewarden.operations import Liveness, RequestCounts
from basewarden.operations import wiring as operations
from basewarden.settings import Settings, load_settings
from basewarden.undo import wiring as undo
from basewarden.vault import Vault
from basewarden.vault import wiring as vault
from basewarden.web import (
    BUILD,
    BuiltFiles,
    Compression,
    Edge,
    Pages,
    Registry,
    WholeBodies,
    add_error_handlers,
    asset_url,
    describe_api,
    list_routes,
    resolve_routes,
)
from basewarden.workspace import wiring as workspace

_HERE = Path(__file__).parent
_WITH_TEMPLATES = (
    "accounts",
    "audit",
    "billing",
    "connections",
    "contact",
    "journal",
    "operations",
    "undo",
    "workspace",
)


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
    """The objects of one process; tests pass other limits, cheaper passwords and a clock for codes by time.

    From the bottom up: a feature gets from the registry what is below it, and adds what those below ask of it.
    """
    registry = Registry()
    registry.add(settings)
    registry.add(Reporter(settings.sentry_dsn, __version__))
    registry.add(Database(settings.database_url))
    registry.add(Listener(settings.database_url))
    _add_pages(registry)
    vault.wire(registry)
    jobs.wire(registry)
    mail.wire(registry)
    audit.wire(registry)
    _wire_accounts(registry, limits or AccountLimits(), cost or PasswordCost(), clock)
    contact.wire(registry)
    billing.wire(registry)
    connections.wire(registry)
    journal.wire(registry)
    gateway.wire(registry)
    undo.wire(registry)
    _wire_personal_data(registry)
    operations.wire(registry, _list_pruners(registry))
    return registry


def _add_pages(registry: Registry) -> None:
    settings = registry.get(Settings)
    pages = registry.add(Pages({name: _HERE / name / "templates" for name in _WITH_TEMPLATES}, asset_url))
    pages.environment.globals["has_github"] = settings.has_github
    pages.environment.globals["can_use_passkeys"] = settings.can_use_passkeys


def _wire_personal_data(registry: Registry) -> None:
    """Which data of a person each feature exports, and what it does when the person's account is deleted."""
    database, letters, audit_log = registry.get(Database), registry.get(Letters), registry.get(Audit)
    registry.add(
        Export(
            database=database,
            attempts=registry.get(Attempts),
            letters=letters,
            audit=audit_log,
            parts=(*ACCOUNT_PARTS, *billing.EXPORT_PARTS, *connections.EXPORT_PARTS, *journal.EXPORT_PARTS),
        )
    )
    registry.add(
        Deletions(
            database=database,
            signins=registry.get(Signins),
            letters=letters,
            audit=audit_log,
            jobs=registry.get(Jobs),
            leaving=(
                *billing.list_erasure_handlers(registry),
                *connections.list_erasure_handlers(registry),
                *journal.list_erasure_handlers(registry),
            ),
        )
    )


def _list_pruners(registry: Registry) -> tuple[Pruner, ...]:
    """In this order: what refers to something is pruned before it."""
    return (
        *journal.list_pruners(registry),
        *_list_account_pruners(registry),
        *billing.PRUNERS,
        *mail.PRUNERS,
        *jobs.PRUNERS,
    )


def assemble_app(registry: Registry) -> Any:
    settings = registry.get(Settings)
    configure_logs(settings.log_level, registry.get(Reporter).report)
    data_api = gateway.make_data_api(registry, WholeBodies(Compression(_build_api(registry))))
    return Edge(Liveness(data_api), settings, registry.get(RequestCounts).observe if settings.metrics_token else None)


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
    app.routes.extend(_ROUTES)
    if registry.get(Settings).metrics_token:  # takes a quarter of a second, for nothing where nobody may read them
        registry.get(RequestCounts).learn_routes(app.routes)
    add_error_handlers(app, _SIGN_IN_PATHS)
    app.openapi = cache(partial(describe_api, app))  # type: ignore[method-assign]  # FastAPI's documented way
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What is started ends in the opposite order: the recorder stores pending writes before the projects close."""
    registry: Registry = app.state.registry
    async with AsyncExitStack() as stack:
        stack.push_async_callback(registry.get(Reporter).stop)
        start_tracing(registry.get(Settings).otel_endpoint, __version__)
        stack.push_async_callback(stop_tracing)
        stack.push_async_callback(registry.get(Database).close)
        listener = registry.get(Listener)
        await listener.start()
        stack.push_async_callback(listener.stop)
        for feature in (operations, gateway, journal, billing, jobs):
            await feature.start(registry, stack)
        stack.push_async_callback(end_task, asyncio.create_task(resolve_routes(app)))
        yield


def _wire_accounts(registry: Registry, limits: AccountLimits, cost: PasswordCost, clock: Clock) -> None:
    settings, database = registry.get(Settings), registry.get(Database)
    registry.add(Attempts(database, settings.secret))
    registry.add(Signins(database, registry.get(Listener), settings))
    letters = registry.add(Letters(registry.get(Mail), settings))
    registry.get(Pages).environment.globals["sends_letters"] = letters.is_configured
    _add_accounts(registry, QuietJobs(registry.get(Jobs), registry.get(Vault)), limits, cost)
    _add_two_factor(registry, limits, clock)
    _add_passkeys(registry, limits)
    _add_github(registry, limits)
    _add_settings(registry)


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


def _list_account_pruners(registry: Registry) -> tuple[Pruner, ...]:
    settings = registry.get(Settings)
    ties = (connections.has_ties, billing.has_ties)
    signups = timedelta(days=settings.keep_signups_days)
    return (
        *list_people_pruners(registry.get(Deletions), registry.get(Letters), keep_signups=signups, ties=ties),
        *list_account_pruners(keep_signins=timedelta(days=settings.keep_signins_days)),
    )


_ACCOUNT_ROUTERS = (
    account_routes.router,
    account_pages.router,
    data_routes.router,
    data_pages.router,
    password_routes.router,
    link_pages.router,
    two_factor_routes.router,
    two_factor_pages.router,
    passkey_routes.router,
    passkey_pages.router,
    github_routes.router,
    github_pages.router,
    sessions_routes.router,
    settings_pages.router,
)
_SIGN_IN_PATHS = {MfaRequired: second_step_path, ReauthRequired: confirm_path, Unauthenticated: signin_path}
_ROUTES = list_routes(
    *_ACCOUNT_ROUTERS,
    *billing.ROUTERS,
    *connections.ROUTERS,
    *journal.ROUTERS,
    *undo.ROUTERS,
    *contact.ROUTERS,
    *operations.ROUTERS,
    *workspace.ROUTERS,
)
