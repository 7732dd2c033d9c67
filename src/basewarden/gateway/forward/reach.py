"""How a project is reached of which only its own API is known."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from basewarden.gateway.forward.upstream import Upstream
from basewarden.pgrest import Schema


@dataclass(frozen=True, slots=True)
class Reach:
    """Its API, and what of its schema that tells."""

    upstream: Upstream
    schema: Schema


FindReach = Callable[[UUID], Awaitable[Reach | None]]
"""By a connection's id; None where there is a better way."""
