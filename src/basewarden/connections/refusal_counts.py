"""Counts of requests that policy refused, as functions that the journal provides."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from basewarden.db import ReadSession


@dataclass(frozen=True, slots=True)
class RefusalCounts:
    count_since: Callable[[ReadSession, UUID, datetime], Awaitable[int]]
    count_by_agent: Callable[[ReadSession, UUID, Sequence[UUID]], Awaitable[Mapping[UUID, int]]]
