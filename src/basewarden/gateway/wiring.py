"""Adds the data API to the registry, and what agents and the reconciler ask about projects."""

from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from basewarden.accounts import SignInSessions
from basewarden.audit import Audit
from basewarden.connections import (
    AgentChecks,
    AgentEdits,
    AgentReads,
    Agents,
    Connections,
    ConnectionTargets,
    GuardFindings,
    GuardSettings,
    ProjectTables,
)
from basewarden.db import Database, Listener
from basewarden.gateway.api.backend import ApiBackend
from basewarden.gateway.asgi import DataAPI
from basewarden.gateway.backends import Backends
from basewarden.gateway.caller import Callers
from basewarden.gateway.direct.backend import DirectBackend
from basewarden.gateway.direct.value_sample import sample_values
from basewarden.gateway.guard_findings import list_guarded_tables
from basewarden.gateway.guarding import EgressGuard
from basewarden.gateway.limits import RateLimits
from basewarden.gateway.project_tables import find_example, list_column_names, list_table_names
from basewarden.gateway.projects import Projects
from basewarden.gateway.proposing import Proposer
from basewarden.gateway.running import RunningRequests
from basewarden.gateway.sharing import PoolSharing
from basewarden.journal import Reconciler, Recorder, RefusalLog
from basewarden.policy import ReadCounter
from basewarden.proposals import Proposals
from basewarden.settings import Settings
from basewarden.web import Registry


def wire(registry: Registry) -> None:
    settings, database, listener = registry.get(Settings), registry.get(Database), registry.get(Listener)
    targets, recorder = registry.get(ConnectionTargets), registry.get(Recorder)
    projects = registry.add(Projects(targets, listener, settings.origin, PoolSharing.of(settings)))
    checks = AgentChecks(registry.get(Connections), projects.find_unknown, projects.find_unknown_columns)
    agents = registry.add(Agents(database, listener, checks, registry.get(Audit)))
    registry.add(AgentEdits(database, listener, checks, registry.get(Audit)))
    registry.add(GuardSettings(listener, checks, registry.get(Audit)))
    names, columns = partial(list_table_names, projects), partial(list_column_names, projects)
    found, sampled = partial(list_guarded_tables, projects, targets), partial(sample_values, projects, targets)
    registry.add(GuardFindings(found, sampled))
    registry.add(ProjectTables(names, columns, partial(find_example, projects)))
    registry.add(Callers(agents, registry.get(SignInSessions), targets, settings))
    registry.add(RateLimits(settings))
    registry.add(RunningRequests(listener, agents.list_stops))
    reads = registry.get(ReadCounter)
    guard = EgressGuard(AgentReads(database, listener, body_seconds=settings.body_seconds))
    proposer = Proposer(registry.get(Proposals), settings.origin)
    registry.add(Backends(DirectBackend(recorder, reads, guard), ApiBackend(recorder, reads, guard), proposer))
    registry.add(Reconciler(database, projects.query_transaction_status))


def make_data_api(registry: Registry, then: Any) -> DataAPI:
    """ASGI around `then`, which gets every request that is not for a connection's data."""
    return DataAPI(
        then,
        registry.get(Callers),
        registry.get(RateLimits),
        registry.get(Projects),
        registry.get(Backends),
        registry.get(RefusalLog),
        registry.get(RunningRequests),
        registry.get(Proposals),
    )


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    stack.push_async_callback(registry.get(Projects).close)
