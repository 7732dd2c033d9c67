"""Adds the counts of what agents use to the registry, and their end."""

from datetime import timedelta

from basewarden.db import Database, Pruner
from basewarden.policy.models import AgentUse
from basewarden.policy.queries import prune_use
from basewarden.policy.read_counter import ReadCounter
from basewarden.web import Registry

_KEEP = timedelta(hours=2)


def wire(registry: Registry) -> None:
    registry.add(ReadCounter(registry.get(Database)))


def list_pruners(_registry: Registry) -> tuple[Pruner, ...]:
    return (Pruner(AgentUse.__tablename__, _KEEP, prune_use),)
