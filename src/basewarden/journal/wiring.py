"""Adds the journal to the registry, and the counts of refusals that the pages of connections show."""

from contextlib import AsyncExitStack
from datetime import timedelta

from basewarden.connections import Blocked
from basewarden.db import Database, Listener, Pruner
from basewarden.journal import pages, refusal_pages, refusal_routes, routes
from basewarden.journal.export import JOURNAL_PARTS
from basewarden.journal.leaving import JournalLeaving
from basewarden.journal.partitions import ensure_partitions
from basewarden.journal.pruning import list_journal_pruners
from basewarden.journal.recorder import Recorder
from basewarden.journal.refusals import RefusalBook, count_refusals_by_agent, count_refusals_since
from basewarden.journal.settle import Settler
from basewarden.settings import Settings
from basewarden.web import Registry

ROUTERS = (routes.router, refusal_routes.router, refusal_pages.router, pages.router)
EXPORT_PARTS = JOURNAL_PARTS


def wire(registry: Registry) -> None:
    """Without the settler: it asks the projects, which the gateway knows."""
    registry.add(Recorder(registry.get(Settings).database_url, registry.get(Listener)))
    registry.add(RefusalBook(registry.get(Database)))
    registry.add(Blocked(count_refusals_since, count_refusals_by_agent))


def list_pruners(registry: Registry) -> tuple[Pruner, ...]:
    return tuple(list_journal_pruners(timedelta(days=registry.get(Settings).keep_journal_days)))


def list_erasure_handlers(_registry: Registry) -> tuple[JournalLeaving, ...]:
    return (JournalLeaving(),)


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    async with registry.get(Database).unit_of_work() as unit:
        await ensure_partitions(unit)
    recorder = registry.get(Recorder)
    await recorder.start()
    stack.push_async_callback(recorder.stop)
    refusals = registry.get(RefusalBook)
    await refusals.start()
    stack.push_async_callback(refusals.stop)
    settler = registry.get(Settler)
    await settler.start()
    stack.push_async_callback(settler.stop)
