"""Adds approvals to the registry."""

from contextlib import AsyncExitStack

from basewarden.approvals import batch_pages, pages, routes
from basewarden.approvals.live_events import read_proposal_events
from basewarden.approvals.service import Approvals
from basewarden.approvals.waiting import count_room
from basewarden.gateway import Backends, Callers, Projects
from basewarden.journal import LiveFeeds, SidebarCounts
from basewarden.proposals import Claims
from basewarden.web import Registry

ROUTERS = (routes.router, batch_pages.router, pages.router)


def wire(registry: Registry) -> None:
    claims, callers = registry.get(Claims), registry.get(Callers)
    registry.add(Approvals(claims, callers, registry.get(Projects), registry.get(Backends)))
    registry.get(SidebarCounts).add(count_room)
    registry.get(LiveFeeds).add_reader(read_proposal_events)


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    approvals = registry.get(Approvals)
    await approvals.start()
    stack.push_async_callback(approvals.stop)
