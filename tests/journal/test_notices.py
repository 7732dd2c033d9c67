"""Notices of new events: each is sent, also the second within the shortest interval."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import pytest

from basewarden.journal import notices
from basewarden.journal.notices import MIN_INTERVAL_SECONDS, ChangeNotices
from pgrest import DbConnection, Rows, Statement


@dataclass
class _SlowClock:
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def catch_up(self) -> None:
        self.now = 2 * MIN_INTERVAL_SECONDS


class _Connection:
    async def run(self, statements: Sequence[Statement]) -> list[Rows]:
        return [cast("Any", None) for _ in statements]


async def test_a_timer_that_fires_early_loses_no_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's event loop counts in whole milliseconds."""
    clock, rung = _SlowClock(), asyncio.Event()
    monkeypatch.setattr(notices, "time", clock)
    changes = ChangeNotices(rung.set)
    changes.add([uuid4()])
    await changes.send(cast("DbConnection", _Connection()))
    changes.add([uuid4()])
    clock.now = MIN_INTERVAL_SECONDS * 0.98
    asyncio.get_running_loop().call_later(MIN_INTERVAL_SECONDS * 1.2, clock.catch_up)
    await asyncio.wait_for(rung.wait(), 5)
    assert changes.is_due
