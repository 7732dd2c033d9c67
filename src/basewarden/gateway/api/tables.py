"""A project's own API as one caller's write reaches it: rows are read whole, and requests put together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from basewarden.gateway.api.journaled_request import UpstreamRefused, read_error
from basewarden.gateway.api.row_images import (
    UnreadableAnswer,
    VersionedRow,
    read_apart,
    select_for_reading,
    select_some,
)
from basewarden.gateway.api.upstream import Upstream, UpstreamRequest, UpstreamResponse
from basewarden.gateway.errors import OutcomeUnknown, UpstreamUnavailable
from basewarden.gateway.recording.capturable import key_may_not_read, not_a_table, too_few_rows_shown
from basewarden.gateway.recording.cascades import Identity
from basewarden.gateway.recording.schema_retry import SnapshotStale
from basewarden.gateway.recording.sqlstates import INSUFFICIENT_PRIVILEGE, UNDEFINED_COLUMN
from basewarden.journal import Image
from basewarden.policy import RowLimit
from pgrest import Schema, Table, join_query, match_rows

QueryPair = tuple[str, str]
LONGEST_QUERY = 30_000
QUERY_ROOM = 7000
"""Bytes of a query string that pass everywhere: gateways before hosted projects take about 8,000 for the whole line."""


class ApiRows(NamedTuple):
    """`total` may be more than the rows: the project's API shows no more at a time."""

    rows: list[VersionedRow]
    total: int


@dataclass(frozen=True, slots=True)
class ApiTables:
    upstream: Upstream
    schema: Schema

    async def fetch(
        self,
        table: Table,
        pairs: Iterable[QueryPair],
        *,
        limit: int | None = None,
        prefer: Sequence[str] = (),
        counts: bool = True,
    ) -> ApiRows:
        """Rows whole, and how many pass in all; without `counts` how many are shown.

        Raises UpstreamRefused, or an AppError that says why the write cannot be recorded.
        """
        selection = select_for_reading(table)
        query = [*pairs, ("select", selection.text)]
        if limit is not None:
            query.append(("limit", str(limit)))
        answer = await self._read(table, query, prefer, counts=counts)
        try:
            rows = await read_apart(selection.read_versioned, answer.body)
            return ApiRows(rows, _read_total(answer, len(rows)))
        except UnreadableAnswer as error:
            raise SnapshotStale from error

    async def fetch_by(
        self, table: Table, columns: Sequence[str], values: Iterable[Identity], *, most: int | None = None
    ) -> list[VersionedRow]:
        """Rows that hold one of `values` in `columns`, however many requests that takes. RowLimit beyond `most`."""
        wanted = list(dict.fromkeys(values))
        found: list[VersionedRow] = []
        for part in split_rows(columns, wanted, QUERY_ROOM - len(select_for_reading(table).text)):
            found += await self._fetch_part(table, columns, part, None if most is None else most - len(found))
        return found

    async def _fetch_part(
        self, table: Table, columns: Sequence[str], values: Sequence[Identity], most: int | None
    ) -> list[VersionedRow]:
        limit = None if most is None else most + 1
        rows, total = await self.fetch(table, match_rows(columns, values), limit=limit)
        if most is not None and total > most:
            raise RowLimit(f"More rows of {table.name} depend on these rows than can be recorded with them.")
        if len(rows) >= total:
            return rows
        if len(values) == 1:
            raise too_few_rows_shown(len(rows), total)
        half = len(values) // 2
        first = await self._fetch_part(table, columns, values[:half], most)
        return [*first, *(await self._fetch_part(table, columns, values[half:], most))]

    async def fetch_some(
        self, table: Table, names: Iterable[str], pairs: Iterable[QueryPair], *, limit: int
    ) -> tuple[list[Image], int]:
        """Of the rows that pass, these columns; and how many pass."""
        selection = select_some(table, names)
        query = [*pairs, ("select", selection.text), ("limit", str(limit))]
        answer = await self._read(table, query)
        try:
            images = [row.image for row in await read_apart(selection.read_returned, answer.body)]
        except UnreadableAnswer as error:
            raise SnapshotStale from error
        return images, _read_total(answer, len(images))

    async def prove_table(self, table: Table) -> None:
        """Raises NotCaptured for a view: it has no row versions, and its base tables would change unrecorded."""
        await self.fetch(table, (), limit=0, counts=False)  # to count is to read all of it

    async def _read(
        self, table: Table, query: Iterable[QueryPair], prefer: Sequence[str] = (), *, counts: bool = True
    ) -> UpstreamResponse:
        preferences = ",".join([*(["count=exact"] if counts else []), *prefer])
        request = UpstreamRequest(
            "GET",
            make_path(table),
            join_query(query),
            (
                ("accept", "application/json"),
                *([("prefer", preferences)] if preferences else []),
                ("accept-profile", table.schema),
            ),
        )
        try:
            answer = await self.upstream.ask(request)
        except OutcomeUnknown as error:
            raise UpstreamUnavailable from error  # of a read that may happen twice
        if answer.status >= 300:
            raise _explain_refusal(table, answer)
        return answer

    def make_request(
        self,
        method: str,
        table: Table,
        query: Iterable[QueryPair],
        *,
        prefer: Sequence[str],
        accept: str = "application/json",
        content_type: str | None = None,
        body: bytes = b"",
    ) -> UpstreamRequest:
        """A write that is to return its rows."""
        return UpstreamRequest(
            method,
            make_path(table),
            join_query(query),
            (
                ("accept", accept),
                *((("content-type", content_type),) if content_type is not None else ()),
                ("prefer", ",".join(["return=representation", *prefer])),
                ("content-profile", table.schema),
            ),
            body,
        )


def make_path(table: Table) -> str:
    return f"/{quote(table.name, safe='')}"


def split_rows(columns: Sequence[str], rows: Sequence[Identity], room: int) -> list[Sequence[Identity]]:
    """In parts whose filters fit into a query string."""
    if not rows:
        return []
    if len(rows) == 1 or len(join_query(match_rows(columns, rows))) <= room:
        return [rows]
    half = len(rows) // 2
    return [*split_rows(columns, rows[:half], room), *split_rows(columns, rows[half:], room)]


def _explain_refusal(table: Table, answer: UpstreamResponse) -> Exception:
    error = read_error(answer)
    if error.get("code") == UNDEFINED_COLUMN and "xmin" in error["message"]:
        return not_a_table(table.name)
    if error.get("code") == INSUFFICIENT_PRIVILEGE:
        return key_may_not_read()
    return UpstreamRefused(answer)


def _read_total(answer: UpstreamResponse, shown: int) -> int:
    """From `Content-Range: 0-24/573`."""
    for name, value in answer.headers:
        if name.lower() == "content-range":
            total = value.rpartition("/")[2]
            return int(total) if total.isascii() and total.isdigit() else shown
    return shown
