"""Runs a request again when the snapshot that it was planned on was outdated."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from basewarden.gateway.errors import NotCaptured, WriteConflict
from pgrest import DatabaseError, PgrestError, Schema

S = TypeVar("S", bound=Schema | None)
T = TypeVar("T")


class SnapshotStale(Exception):
    """The write was captured with an outdated snapshot of its tables. Nothing is kept; it can be run on a newer one."""


async def run_on_current_schema(
    schema: S,
    work: Callable[[S], Awaitable[T]],
    renew: Callable[[S, Exception], Awaitable[S]],
    *,
    tries: int,
) -> T:
    """The result of `work`, which must have changed nothing when it raises. Raises WriteConflict after all tries.

    `renew` gets the schema and the error, and gives the schema for the next try. It raises the error if it is final.
    """
    for _ in range(tries - 1):
        try:
            return await work(schema)
        except (SnapshotStale, DatabaseError, PgrestError, NotCaptured) as error:
            schema = await renew(schema, error)
    try:
        return await work(schema)
    except SnapshotStale as error:
        raise WriteConflict from error
