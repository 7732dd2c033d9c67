"""How many bytes of a database's answers may be held in memory: by one request, one project, one process."""

from collections.abc import Callable

from pgrest import errors
from pgrest.errors import PgrestError

MEGABYTE = 1_000_000
_FREE_BYTES = MEGABYTE
"""of each request: small answers are never refused because others hold large ones"""

_ROW_BYTES, _CELL_BYTES = 64, 24
"""A row of one NULL has eleven bytes on its way."""


class MemoryBudget:
    """Counts what is held at one time. A project's budget has the process's as its `parent`.

    `on_release` hears how much is held no longer, by this one and by those that have it as their parent.
    """

    __slots__ = ("_on_release", "held", "most", "parent")

    def __init__(
        self, most: int, parent: "MemoryBudget | None" = None, *, on_release: Callable[[int], None] | None = None
    ) -> None:
        self.most = most
        self.parent = parent
        self.held = 0
        self._on_release = on_release

    def take(self, size: int) -> bool:
        """False where that is too much; nothing is taken then."""
        if self.held + size > self.most or (self.parent is not None and not self.parent.take(size)):
            return False
        self.held += size
        return True

    def hold(self, size: int) -> None:
        """Counts what is there already, whether or not it is too much: others wait for it then."""
        self.held += size
        if self.parent is not None:
            self.parent.hold(size)

    def release(self, size: int) -> None:
        self.held -= size
        if self.parent is not None:
            self.parent.release(size)
        if self._on_release is not None:
            self._on_release(size)


class Meter:
    """Counts what one request reads, against its own limit in bytes and the budget that it shares."""

    __slots__ = ("_budget", "_most", "_room", "_taken", "received")

    def __init__(self, most: int, budget: MemoryBudget | None = None) -> None:
        self._most = most
        self._budget = budget
        self._taken = 0
        self._room = 0
        self.received = 0

    def weigh(self, rows: int, columns: int) -> PgrestError | None:
        """What is wrong with so many rows, which take more room here than on their way if they are small."""
        self._room += rows * (_ROW_BYTES + _CELL_BYTES * columns)
        if self._room <= _FREE_BYTES and self._room <= self._most:
            return None
        return self.count(self._room - self.received) if self._room > self.received else None

    def count(self, size: int) -> PgrestError | None:
        """What is wrong once these bytes have come, if anything is."""
        self.received += size
        if self.received > self._most:
            return errors.answer_too_large(self._most)
        beyond = self.received - _FREE_BYTES - self._taken
        if self._budget is None or beyond <= 0:
            return None
        if not self._budget.take(beyond):
            return errors.memory_busy()
        self._taken += beyond
        return None

    def close(self) -> None:
        """Releases what was read: it is held no longer, or its next holder counts it from now on."""
        if self._taken and self._budget is not None:
            self._budget.release(self._taken)
            self._taken = 0
