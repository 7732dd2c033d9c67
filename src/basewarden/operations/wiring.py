"""Adds health, metrics and retention to the registry."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from basewarden.db import Database, Pruner
from basewarden.jobs import Jobs
from basewarden.operations import (
    design_pages,
    docs_pages,
    health_routes,
    icon_routes,
    metrics_routes,
    openapi_routes,
    retention_routes,
    status_pages,
)
from basewarden.operations.health import Configured, Health
from basewarden.operations.metrics import Metrics
from basewarden.operations.requests import RequestCounts
from basewarden.operations.retention import Retention
from basewarden.settings import Settings
from basewarden.web import Registry

ROUTERS = (
    retention_routes.router,
    health_routes.router,
    metrics_routes.router,
    status_pages.router,
    docs_pages.router,
    openapi_routes.router,
    design_pages.router,
    icon_routes.router,
)


def wire(registry: Registry, pruners: Sequence[Pruner]) -> None:
    settings, database = registry.get(Settings), registry.get(Database)
    health = registry.add(Health(settings.database_url, Configured.read(settings)))
    registry.add(Metrics(database, health, registry.add(RequestCounts())))
    registry.add(Retention(database, registry.get(Jobs), pruners))


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    stack.push_async_callback(registry.get(Health).stop)
    stack.push_async_callback(registry.get(Metrics).stop)
