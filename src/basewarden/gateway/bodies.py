"""How many bytes of large bodies one process holds at once, and how many of them for one caller."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from basewarden.gateway.errors import BodiesHeld

MOST_BYTES = 256 * 1024 * 1024
MOST_BYTES_OF_ONE = 64 * 1024 * 1024
_RETRY_SECONDS = "1"


class HeldBodies:
    """Counted as they arrive, so that announcing a body takes no room."""

    def __init__(self, most: int = MOST_BYTES, most_of_one: int = MOST_BYTES_OF_ONE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._held: Counter[UUID] = Counter()
        self._total = 0

    @contextmanager
    def hold(self, caller_id: UUID) -> Iterator["HeldBody"]:
        body = HeldBody(self, caller_id)
        try:
            yield body
        finally:
            self._change(caller_id, -body.size)

    def add(self, caller_id: UUID, size: int) -> None:
        """Raises BodiesHeld where there is no room for it."""
        if self._total + size > self._most or self._held[caller_id] + size > self._most_of_one:
            raise BodiesHeld(headers={"Retry-After": _RETRY_SECONDS})
        self._change(caller_id, size)

    def _change(self, caller_id: UUID, size: int) -> None:
        self._total += size
        self._held[caller_id] += size
        if not self._held[caller_id]:
            del self._held[caller_id]


class HeldBody:
    __slots__ = ("_caller_id", "_held", "size")

    def __init__(self, held: HeldBodies, caller_id: UUID) -> None:
        self._held = held
        self._caller_id = caller_id
        self.size = 0

    def add(self, size: int) -> None:
        self._held.add(self._caller_id, size)
        self.size += size
