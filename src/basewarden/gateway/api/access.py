"""What reaches a project through its REST API."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from basewarden.gateway.api.upstream import Upstream
from pgrest import Schema


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """A project's API, and the schema that it describes.

    `find_newer` gives the schema after an outdated one, as soon as the API may be asked again. It raises AppError if
    the API no longer describes its schema.
    """

    upstream: Upstream
    schema: Schema
    find_newer: Callable[[Schema], Awaitable[Schema]]


FindApiAccess = Callable[[UUID], Awaitable[ApiAccess | None]]
"""By a connection's id; None for a connection with a Postgres connection string."""
