"""Adds the job queue to the registry; its worker runs as long as the application."""

from contextlib import AsyncExitStack

from basewarden.db import Database
from basewarden.jobs.service import JOB_PRUNERS, Jobs
from basewarden.web import Registry

PRUNERS = JOB_PRUNERS


def wire(registry: Registry) -> None:
    registry.add(Jobs(registry.get(Database)))


async def start(registry: Registry, stack: AsyncExitStack) -> None:
    jobs = registry.get(Jobs)
    await jobs.start()
    stack.push_async_callback(jobs.stop)
