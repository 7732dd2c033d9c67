"""Counts of requests that policy refused, as a function that the journal provides."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from basewarden.db import ReadSession


@dataclass(frozen=True, slots=True)
class RefusalCounts:
    count_since: Callable[[ReadSession, UUID, datetime], Awaitable[int]]
