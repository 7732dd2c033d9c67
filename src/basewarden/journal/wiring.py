"""Adds the journal to the registry, and the counts that the pages of connections and their sidebar show."""

from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from basewarden.connections import AgentActivity, SessionCounter
from basewarden.db import Database, Listener, Pruner
from basewarden.journal import live_routes, pages, refusal_pages, refusal_routes, routes
from basewarden.journal.agents import (
    count_agent_activity,
    freeze_agent_sessions,
    list_agent_rows,
    read_agent_history,
)
from basewarden.journal.erasure import JournalErasure
from basewarden.journal.export import JOURNAL_PARTS
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

ROUTERS = (routes.router, live_routes.router, refusal_routes.router, refusal_pages.router, pages.router)
EXPORT_PARTS = JOURNAL_PARTS


def wire(registry: Registry) -> None:
    """Adds all but the reconciler, which needs the gateway's projects."""
    settings, listener = registry.get(Settings), registry.get(Listener)
    registry.add(Recorder(settings.database_url, listener))
    limits = StreamLimits(settings.max_streams, settings.max_streams_per_person)
    registry.add(LiveFeeds(registry.get(Database), listener, limits))
    registry.add(RefusalLog(registry.get(Database)))
    freeze = partial(freeze_agent_sessions, listener)
    registry.add(AgentActivity(count_agent_activity, read_agent_history, freeze, list_agent_rows))
    registry.add(SessionCounter(count_all_sessions))
    registry.get(Shell).count_with(SidebarCounts(registry.get(Database), listener).count)


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
