"""One snapshot and what was last seen of its database: whether it still holds, and the next one if it does not."""

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from pgrest.errors import no_schema_cache
from pgrest.schema.catalog_version import PLAN_PLAINLY, CatalogVersion, ask_catalog_version, read_catalog_version
from pgrest.schema.cooperation import run_cooperatively
from pgrest.schema.introspection import Snapshot, load_snapshot
from pgrest.wire.connection import DbConnection

_LET_GO_SECONDS = 5.0
_ANSWER_SECONDS = 5.0  # requests may wait for a check, and a server that has gone silent must not hold them up
# Of the server's time, these parts may go to quick checks, to whole checks, and to those that a quick check gives rise
# to, which may take as much at once as they have saved.
_QUICK_SHARE, _WHOLE_SHARE, _SUSPECT_SHARE = 1 / 25, 1 / 30, 1 / 10
_MOST_SAVED = 0.5


@dataclass(frozen=True, slots=True)
class Loaded:
    """How long it took to load a snapshot, and how many relations were read rather than taken over."""

    snapshot: Snapshot
    seconds: float
    relations_read: int


class SchemaRefresher:
    """Used by one task at a time."""

    def __init__(
        self, schemas: Sequence[str], extra_search_path: Sequence[str], on_load: Callable[[Loaded], None] | None
    ) -> None:
        self._schemas = tuple(schemas)
        self._extra_search_path = tuple(extra_search_path)
        self._on_load = on_load
        self.current: Snapshot | None = None
        self._quick = self._whole = CatalogVersion("")
        self._whole_at = self._quick_cost = 0.0
        self._saved, self._saved_at = _MOST_SAVED, time.monotonic()
        self.cost = 0.0
        """what the last check took the server, in seconds"""

    @property
    def pause(self) -> float:
        """How long to wait at least before the next quick check."""
        return self._quick_cost / _QUICK_SHARE

    async def check(self, conn: DbConnection, *, whole: bool) -> None:
        """Raises DatabaseError or PgrestError; what is current stays so then, and the next check finds the same."""
        self.cost = 0.0
        if self.current is None:
            self._keep(await self._load(conn, None))
            return
        pulse = await self._ask(conn, whole=whole or self._is_whole_due())
        if pulse is None:
            return
        if pulse.is_whole and _is_other(pulse, self.current.catalogue.pulse):
            await self._load(conn, pulse)
        self._keep(pulse)

    async def _ask(self, conn: DbConnection, *, whole: bool) -> CatalogVersion | None:
        """Returns None where a quick check saw something that is to be looked at later: then it will be seen again."""
        since = self._whole if whole else self._quick
        question = ask_catalog_version(conn.server_version, since=since.moment, whole=whole)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                _, rows = await conn.run([PLAN_PLAINLY, question])
        except TimeoutError:
            raise no_schema_cache("The database does not answer") from None
        pulse = read_catalog_version(rows)
        self.cost += pulse.cost
        if whole or pulse.quick_check is None:
            return pulse
        self._quick_cost = pulse.cost
        if pulse.quick_check == self._quick.quick_check:
            return pulse
        return await self._look_closer(conn)

    async def _look_closer(self, conn: DbConnection) -> CatalogVersion | None:
        now = time.monotonic()
        self._saved = min(_MOST_SAVED, self._saved + (now - self._saved_at) * _SUSPECT_SHARE)
        self._saved_at = now
        if self._saved < self._whole.cost:
            return None
        pulse = await self._ask(conn, whole=True)
        self._saved -= self.cost
        return pulse

    def _is_whole_due(self) -> bool:
        return time.monotonic() - self._whole_at >= self._whole.cost / _WHOLE_SHARE

    def _keep(self, pulse: CatalogVersion) -> None:
        """A pulse without sums was asked at the same moment as the one before."""
        if pulse.quick_check is not None:
            self._quick = pulse
        if pulse.is_whole:
            self._whole, self._whole_at = pulse, time.monotonic()

    async def _load(self, conn: DbConnection, pulse: CatalogVersion | None) -> CatalogVersion:
        since = time.perf_counter()
        known = self.current
        found = await load_snapshot(conn, self._schemas, self._extra_search_path, known=known, pulse=pulse)
        self.current = found
        if self._on_load is not None:
            before = known.catalogue.relations if known is not None else {}
            read = sum(before.get(oid) is not one for oid, one in found.catalogue.relations.items())
            self._on_load(Loaded(found, time.perf_counter() - since, read))
        return found.catalogue.pulse


def _is_other(pulse: CatalogVersion, known: CatalogVersion) -> bool:
    return (pulse.names, pulse.code, pulse.roles, pulse.shape) != (known.names, known.code, known.roles, known.shape)


async def release(snapshot: Snapshot) -> None:
    """Frees what the next snapshot has not taken over in turns too, after the requests that may still have it."""
    parts: list[object] = [*snapshot.catalogue.relations.values(), *snapshot.schema.tables.values()]
    del snapshot
    await asyncio.sleep(_LET_GO_SECONDS)
    await run_cooperatively(_drop(parts))


def _drop(parts: list[object]) -> Generator[None, None, None]:
    while parts:
        parts.pop()
        yield
