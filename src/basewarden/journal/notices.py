"""Announces to all processes which connections have new events, without slowing the writes down.

NOTIFY takes a lock of the whole server until its transaction has ended, the wait for the disk included. So a notice is
not part of the transaction that stores a write: it follows in one of its own, which writes nothing, for all connections
together and not more often than every 50 ms. A notice that is lost delays events until the next one: they are read from
the journal. See `docs/decisions/0032-live-events-from-the-journal.md`.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

from basewarden.db import make_notification
from basewarden.journal import statements
from pgrest import DbConnection

LIVE_TOPIC: Final = "live"
MIN_INTERVAL_SECONDS = 0.05
_RETRY_SECONDS = 1.0
_MAX_IDS = 100
"""A message has at most 8,000 bytes; more connections need more messages."""


class ChangeNotices:
    """Collects connections; `on_due` is called when the next notice is due."""

    def __init__(self, on_due: Callable[[], None]) -> None:
        self._on_due = on_due
        self._connections: set[UUID] = set()
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_due(self) -> bool:
        return bool(self._connections) and time.monotonic() >= self._due

    def add(self, connection_ids: Iterable[UUID]) -> None:
        self._connections.update(connection_ids)
        self._schedule()

    async def send(self, connection: DbConnection) -> None:
        """Sends what is collected. Raises when our database fails; then it is sent later."""
        taken, self._connections = self._connections, set()
        try:
            await connection.run(
                [statements.notify(*make_notification(LIVE_TOPIC, one)) for one in make_notices(taken)]
            )
        except BaseException:
            self._connections |= taken
            raise
        self._due = time.monotonic() + MIN_INTERVAL_SECONDS
        self._schedule()

    def postpone(self) -> None:
        self._due = time.monotonic() + _RETRY_SECONDS
        self._schedule()

    def end(self) -> None:
        """Makes what is collected due at once, since there will be no later."""
        self._due = float("-inf")
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        if self._connections and self._timer is None and not self.is_due:
            self._timer = asyncio.get_running_loop().call_later(self._due - time.monotonic(), self._ring)

    def _ring(self) -> None:
        """A timer may fire a little early, since an event loop may count in whole milliseconds."""
        self._timer = None
        self._schedule()
        if self._timer is None:
            self._on_due()


def make_notices(connection_ids: Iterable[UUID]) -> list[str]:
    """Returns the payloads that name these connections."""
    ids = [str(one) for one in connection_ids]
    return [",".join(ids[at : at + _MAX_IDS]) for at in range(0, len(ids), _MAX_IDS)]


def parse_notice(payload: str) -> list[UUID]:
    return [UUID(one) for one in payload.split(",") if one]
