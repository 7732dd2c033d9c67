"""Adds undo to the registry."""

from basewarden.db import Database, Listener
from basewarden.gateway import Projects
from basewarden.journal import Reconciler, Recorder
from basewarden.settings import Settings
from basewarden.undo import pages, receipt_pages, routes
from basewarden.undo.service import Undo
from basewarden.web import Registry

ROUTERS = (routes.router, pages.router, receipt_pages.router)


def wire(registry: Registry) -> None:
    projects = registry.get(Projects)
    registry.add(
        Undo(
            registry.get(Database),
            registry.get(Listener),
            projects,
            registry.get(Recorder),
            registry.get(Reconciler),
            projects.find_api_access,
            budget_bytes=registry.get(Settings).undo_megabytes * 1024 * 1024,
        )
    )
