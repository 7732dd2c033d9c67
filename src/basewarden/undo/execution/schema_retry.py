"""Repeats an attempt on a newer schema where a migration has changed the project's tables meanwhile."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from basewarden.gateway import SnapshotStale
from basewarden.gateway.api import UpstreamRefused
from pgrest import DatabaseError, Schema

T = TypeVar("T")
RenewSchema = Callable[[Schema, Exception], Awaitable[Schema | None]]
"""The schema after the outdated one; None where the error has another cause."""


async def run_on_current_schema(
    schema: Schema, attempt: Callable[[Schema], Awaitable[T]], renew: RenewSchema, *, tries: int
) -> T:
    """`attempt` must leave nothing changed when it fails. Raises its last error."""
    while True:
        try:
            return await attempt(schema)
        except (SnapshotStale, DatabaseError, UpstreamRefused) as error:
            tries -= 1
            newer = await renew(schema, error) if tries else None
            if newer is None:
                raise
            schema = newer
