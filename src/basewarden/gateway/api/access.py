"""How a project is reached of which only its own API is known."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from basewarden.gateway.api.upstream import Upstream
from pgrest import Schema


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Its API, and what it tells of its schema.

    `find_newer` gives the schema after the one that turned out to be outdated, as soon as the API may be asked again.
    It raises AppError where the API does not tell it any more.
    """

    upstream: Upstream
    schema: Schema
    find_newer: Callable[[Schema], Awaitable[Schema]]


FindApiAccess = Callable[[UUID], Awaitable[ApiAccess | None]]
"""By a connection's id; None where there is a better way."""
