"""Adds approvals to the registry."""

from contextlib import AsyncExitStack

from basewarden.approvals import routes
from basewarden.approvals.service import Approvals
from basewarden.gateway import Backends, Callers, Projects
from basewarden.proposals import Claims
from basewarden.web import Registry

ROUTERS = (routes.router,)


def wire(registry: Registry) -> None:
    claims, callers = registry.get(Claims), registry.get(Callers)
    registry.add(Approvals(claims, callers, registry.get(Projects), registry.get(Backends)))


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    approvals = registry.get(Approvals)
    await approvals.start()
    stack.push_async_callback(approvals.stop)
