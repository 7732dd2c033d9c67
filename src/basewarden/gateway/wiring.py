"""Adds the data API to the registry, and what agents and the reconciler ask about projects."""

from contextlib import AsyncExitStack
from typing import Any

from basewarden.accounts import Signins
from basewarden.connections import Agents, Connections, ConnectionTargets
from basewarden.db import Database, Listener
from basewarden.gateway.asgi import DataRoad
from basewarden.gateway.caller import Callers
from basewarden.gateway.forward.road import ForwardRoad
from basewarden.gateway.lending import Lending
from basewarden.gateway.limits import RateLimits
from basewarden.gateway.projects import Projects
from basewarden.gateway.road import DirectBackend
from basewarden.gateway.roads import Roads
from basewarden.journal import Reconciler, Recorder, RefusalLog
from basewarden.settings import Settings
from basewarden.web import Registry


def wire(registry: Registry) -> None:
    settings, database, listener = registry.get(Settings), registry.get(Database), registry.get(Listener)
    targets, recorder = registry.get(ConnectionTargets), registry.get(Recorder)
    projects = registry.add(Projects(targets, listener, settings.origin, Lending.of(settings)))
    agents = registry.add(Agents(database, listener, registry.get(Connections), projects.find_unknown))
    registry.add(Callers(agents, registry.get(Signins), targets, settings))
    registry.add(RateLimits(settings))
    registry.add(Roads(DirectBackend(recorder), ForwardRoad(recorder)))
    registry.add(Reconciler(database, projects.ask_status))


def make_data_api(registry: Registry, then: Any) -> DataRoad:
    """ASGI around `then`, which gets every request that is not for a connection's data."""
    return DataRoad(
        then,
        registry.get(Callers),
        registry.get(RateLimits),
        registry.get(Projects),
        registry.get(Roads),
        registry.get(RefusalLog),
    )


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    stack.push_async_callback(registry.get(Projects).close)
