"""How many requests of agents policy refused. The journal keeps them and passes in its counts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from basewarden.db import ReadSession


@dataclass(frozen=True, slots=True)
class Blocked:
    count_since: Callable[[ReadSession, UUID, datetime], Awaitable[int]]
    count_by_agent: Callable[[ReadSession, UUID, Sequence[UUID]], Awaitable[Mapping[UUID, int]]]
