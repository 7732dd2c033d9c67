"""Adds the sentry to the registry: its scans run as jobs."""

from contextlib import AsyncExitStack
from datetime import timedelta

from basewarden.accounts import Attempts
from basewarden.audit import Audit
from basewarden.connections import ConnectionTargets, QuarantineCounter
from basewarden.db import Database, Pruner, in_batches
from basewarden.gateway import Projects
from basewarden.jobs import Jobs
from basewarden.journal import SidebarCounts
from basewarden.sentry import pages, routes
from basewarden.sentry.changes import fix_pages, quarantine_pages
from basewarden.sentry.changes import routes as change_routes
from basewarden.sentry.changes.queries import count_quarantines, delete_old_changes
from basewarden.sentry.changes.service import Changes
from basewarden.sentry.debugger import pages as debugger_pages
from basewarden.sentry.debugger import routes as debugger_routes
from basewarden.sentry.debugger.service import PolicyDebugger
from basewarden.sentry.erasure import SentryErasure
from basewarden.sentry.export import SENTRY_PARTS
from basewarden.sentry.history import pages as history_pages
from basewarden.sentry.history import routes as history_routes
from basewarden.sentry.history.queries import delete_old_versions
from basewarden.sentry.history.recording import SchemaHistory
from basewarden.sentry.history.service import SchemaVersions
from basewarden.sentry.leaks import pages as leak_pages
from basewarden.sentry.leaks import routes as leak_routes
from basewarden.sentry.leaks.service import LeakScans
from basewarden.sentry.models import SchemaVersion, SentryChange, SentryFinding, SentryScan
from basewarden.sentry.queries import delete_old_findings, delete_old_scans
from basewarden.sentry.service import Scans
from basewarden.sentry.urgent import count_room
from basewarden.sentry.watching import routes as watch_routes
from basewarden.sentry.watching.noticing import SchemaNotices
from basewarden.sentry.watching.service import Watching
from basewarden.settings import Settings
from basewarden.web import Registry

ROUTERS = (
    routes.router,
    watch_routes.router,
    change_routes.router,
    leak_routes.router,
    debugger_routes.router,
    history_routes.router,
    history_pages.router,
    leak_pages.router,
    debugger_pages.router,
    quarantine_pages.router,
    fix_pages.router,
    pages.router,
)
"""The pages of a finding come last: their path has an id where others have a word."""
EXPORT_PARTS = SENTRY_PARTS


def list_pruners(registry: Registry) -> tuple[Pruner, ...]:
    keep = timedelta(days=registry.get(Settings).keep_journal_days)
    return (
        Pruner(SentryScan.__tablename__, keep, in_batches(delete_old_scans)),
        Pruner(SentryFinding.__tablename__, keep, in_batches(delete_old_findings)),
        Pruner(SentryChange.__tablename__, keep, in_batches(delete_old_changes)),
        Pruner(SchemaVersion.__tablename__, keep, in_batches(delete_old_versions)),
    )


def list_erasure_handlers(_registry: Registry) -> tuple[SentryErasure, ...]:
    return (SentryErasure(),)


def wire(registry: Registry) -> None:
    database, jobs = registry.get(Database), registry.get(Jobs)
    projects, targets = registry.get(Projects), registry.get(ConnectionTargets)
    attempts = registry.get(Attempts)
    changes = Changes(database, jobs, projects, targets, attempts)
    registry.add(changes)
    history = registry.add(SchemaHistory(database, jobs, projects))
    registry.add(SchemaVersions(database))
    scans = registry.add(Scans(database, jobs, projects, targets, changes, history))
    watching = registry.add(Watching(database, jobs, scans, registry.get(Audit)))
    registry.add(SchemaNotices(projects, watching, history))
    settings = registry.get(Settings)
    registry.add(PolicyDebugger(registry.get(Projects), registry.get(ConnectionTargets), attempts))
    registry.add(LeakScans(attempts, allow_private=settings.allow_private_addresses))
    registry.get(SidebarCounts).add(count_room)
    registry.add(QuarantineCounter(count_quarantines))


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    notices = registry.get(SchemaNotices)
    await notices.start()
    stack.push_async_callback(notices.stop)
