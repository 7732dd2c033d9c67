"""Puts the features together; besides `cli.py`, the only file that knows all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI

from basewarden import __version__
from basewarden.accounts import AccountLimits, Clock, PasswordCost, read_clock, show_visitor
from basewarden.accounts import wiring as accounts
from basewarden.alerts import wiring as alerts
from basewarden.approvals import wiring as approvals
from basewarden.audit import wiring as audit
from basewarden.billing import wiring as billing
from basewarden.connections import wiring as connections
from basewarden.contact import wiring as contact
from basewarden.core.logs import configure_logs
from basewarden.core.once import make_once
from basewarden.core.reporting import Reporter
from basewarden.core.tasks import end_task
from basewarden.core.tracing import start_tracing, stop_tracing
from basewarden.db import Database, Listener, Pruner
from basewarden.gateway import describe_data
from basewarden.gateway import wiring as gateway
from basewarden.jobs import wiring as jobs
from basewarden.journal import wiring as journal
from basewarden.mail import wiring as mail
from basewarden.operations import Liveness, RequestCounts
from basewarden.operations import wiring as operations
from basewarden.policy import wiring as policy
from basewarden.proposals import wiring as proposals
from basewarden.sentry import wiring as sentry
from basewarden.settings import Settings, load_settings
from basewarden.undo import wiring as undo
from basewarden.vault import wiring as vault
from basewarden.web import (
    BUILT_ASSETS,
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
    warm_up,
)
from basewarden.workspace import wiring as workspace

_HERE = Path(__file__).parent
_WITH_ROUTES = (
    accounts,
    billing,
    connections,
    journal,
    undo,
    approvals,
    sentry,
    alerts,
    contact,
    operations,
    workspace,
)
_ROUTES = list_routes(*(router for feature in _WITH_ROUTES for router in feature.ROUTERS))


@dataclass(frozen=True, slots=True)
class Addition:
    """What a command adds to the product: its objects and its routes."""

    wire: Callable[[Registry], None]
    routers: Sequence[APIRouter]


def create_app(settings: Settings, addition: Addition | None = None) -> Any:
    """The whole product as one ASGI application."""
    registry = build_registry(settings)
    if addition is None:
        return assemble_app(registry, compiles_ahead=True)
    addition.wire(registry)
    return assemble_app(registry, addition.routers, compiles_ahead=True)


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
    templates = {folder.parent.name: folder for folder in _HERE.glob("*/templates")}
    registry.add(Pages(templates, asset_url, is_https=settings.is_https))
    for feature in (vault, jobs, mail, audit):
        feature.wire(registry)
    accounts.wire(registry, limits=limits or AccountLimits(), cost=cost or PasswordCost(), clock=clock)
    for feature in (contact, billing, connections, policy, journal, proposals, gateway, undo):
        feature.wire(registry)
    for feature in (approvals, sentry, alerts, workspace):
        feature.wire(registry)
    _wire_personal_data(registry)
    operations.wire(registry, _list_pruners(registry))
    return registry


def _wire_personal_data(registry: Registry) -> None:
    """Which data of a person each feature exports, and what it does when the person's account is deleted."""
    features = (billing, connections, journal, proposals, sentry, alerts)
    accounts.wire_personal_data(
        registry,
        parts=[part for feature in features for part in feature.EXPORT_PARTS],
        erasure_handlers=[one for feature in features for one in feature.list_erasure_handlers(registry)],
    )


def _list_pruners(registry: Registry) -> tuple[Pruner, ...]:
    """In this order: what refers to something is pruned before it."""
    return (
        *journal.list_pruners(registry),
        *proposals.list_pruners(registry),
        *sentry.list_pruners(registry),
        *policy.list_pruners(registry),
        *accounts.list_pruners(registry, ties=(connections.has_ties, billing.has_ties)),
        *billing.PRUNERS,
        *alerts.PRUNERS,
        *connections.PRUNERS,
        *mail.PRUNERS,
        *jobs.PRUNERS,
    )


def assemble_app(registry: Registry, added: Sequence[APIRouter] = (), *, compiles_ahead: bool = False) -> Any:
    """`compiles_ahead`: templates are compiled after the start, not at their first use. A test uses few of them."""
    settings = registry.get(Settings)
    configure_logs(settings.log_level, registry.get(Reporter).report)
    api = build_api(registry, added)
    api.state.compiles_ahead = compiles_ahead
    data_api = gateway.make_data_api(registry, WholeBodies(Compression(api)))
    return Edge(Liveness(data_api), settings, registry.get(RequestCounts).observe if settings.metrics_token else None)


def build_api(registry: Registry, added: Sequence[APIRouter] = ()) -> FastAPI:
    app = FastAPI(
        title="Basewarden",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.registry = registry
    app.mount("/static", BuiltFiles(BUILT_ASSETS), name="static")
    app.routes.extend(_ROUTES)
    app.routes.extend(list_routes(*added))
    if registry.get(Settings).metrics_token:  # takes 0.25 s, which is needed only for metrics
        registry.get(RequestCounts).learn_routes(app.routes)
    add_error_handlers(app, accounts.SIGN_IN_PATHS, show_visitor)
    app.openapi = make_once(lambda: describe_api(app, describe_data()))  # type: ignore[method-assign]  # FastAPI's documented way
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
        for feature in (operations, gateway, journal, approvals, billing, sentry, alerts, jobs):
            await feature.start(registry, stack)
        stack.push_async_callback(end_task, asyncio.create_task(warm_up(app)))
        yield
