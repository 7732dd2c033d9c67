"""Adds the journal to the registry, and the counts that the pages of connections and their sidebar show."""

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from basewarden.audit import Audit
from basewarden.connections import AgentActivity, AgentStates, SessionCounter
from basewarden.db import Database, Listener, Pruner
from basewarden.journal import (
    intervention_pages,
    intervention_routes,
    live_routes,
    pages,
    refusal_pages,
    refusal_routes,
    routes,
)
from basewarden.journal.agents import count_agent_activity, list_agent_rows, read_agent_history
from basewarden.journal.erasure import JournalErasure
from basewarden.journal.export import JOURNAL_PARTS
from basewarden.journal.interventions import Interventions, find_freeze
from basewarden.journal.live import LiveFeeds, StreamLimits
from basewarden.journal.partitions import ensure_partitions
from basewarden.journal.pruning import list_journal_pruners
from basewarden.journal.reconciler import Reconciler
from basewarden.journal.recorder import Recorder
from basewarden.journal.refusals import RefusalLog
from basewarden.journal.sessions.queries import count_all_sessions
from basewarden.journal.sidebar import SidebarCounts
from basewarden.settings import Settings
from basewarden.web import Registry, Shell

ROUTERS = (
    routes.router,
    live_routes.router,
    refusal_routes.router,
    refusal_pages.router,
    intervention_routes.router,
    intervention_pages.router,
    pages.router,
)
EXPORT_PARTS = JOURNAL_PARTS


def wire(registry: Registry) -> None:
    """Adds all but the reconciler, which needs the gateway's projects."""
    settings, listener = registry.get(Settings), registry.get(Listener)
    registry.add(Recorder(settings.database_url, listener))
    limits = StreamLimits(settings.max_streams, settings.max_streams_per_person)
    registry.add(LiveFeeds(registry.get(Database), listener, limits))
    registry.add(RefusalLog(registry.get(Database)))
    registry.add(Interventions(registry.get(AgentStates), listener, registry.get(Audit)))
    registry.add(AgentActivity(count_agent_activity, read_agent_history, list_agent_rows))
    registry.add(SessionCounter(count_all_sessions))
    shell = registry.get(Shell)
    counts = SidebarCounts(registry.get(Database), listener)
    registry.add(counts)
    shell.count_with(counts.count, counts.read)
    shell.explain_freezes_with(partial(find_freeze, registry.get(Database)))


def list_pruners(registry: Registry) -> tuple[Pruner, ...]:
    return tuple(list_journal_pruners(timedelta(days=registry.get(Settings).keep_journal_days)))


def list_erasure_handlers(_registry: Registry) -> tuple[JournalErasure, ...]:
    return (JournalErasure(),)


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    async with registry.get(Database).unit_of_work() as unit:
        await ensure_partitions(unit)
    recorder = registry.get(Recorder)
    await recorder.start()
    stack.push_async_callback(recorder.stop)
    refusals = registry.get(RefusalLog)
    await refusals.start()
    stack.push_async_callback(refusals.stop)
    reconciler = registry.get(Reconciler)
    await reconciler.start()
    stack.push_async_callback(reconciler.stop)
