"""One client's write to one table, with everything that its steps share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

from basewarden.gateway.api.cascades import ReferringRows
from basewarden.gateway.api.journaled_request import JournaledRequest, UpstreamRefused
from basewarden.gateway.api.responses import View
from basewarden.gateway.api.row_images import (
    ReturnedRow,
    Selection,
    UnreadableAnswer,
    VersionedRow,
    read_apart,
    select_for_writing,
)
from basewarden.gateway.api.tables import ApiRows, ApiTables, QueryPair
from basewarden.gateway.api.upstream import UpstreamRequest, UpstreamResponse
from basewarden.gateway.errors import OutcomeUnknown
from basewarden.gateway.recording.capturable import no_row_versions
from basewarden.gateway.recording.reviewing import WriteRecorder
from basewarden.gateway.recording.row_changes import make_intent_changes
from basewarden.journal import SessionCaller, Verb, WriteEntry
from basewarden.policy import Policy, RowLimit, row_limit
from pgrest import Request, Table, max_affected_exceeded

MOST_ROWS = 1000
"""What a caller without a limit may change at once: each row is read before, and hosted APIs show no more."""
_FOREIGN_VERSIONS = ("", "0")
_TOO_LONG = (413, 414, 431)


class ApiWriteResult(NamedTuple):
    """The rows that were written, upstream's response, and the session that the write belongs to.

    `write_id` is None where it took several writes.
    """

    rows: Sequence[ReturnedRow]
    answer: UpstreamResponse
    session_id: UUID
    write_id: UUID | None


@dataclass(frozen=True, slots=True)
class ApiWrite:
    """`filters` are the client's parameters that choose rows, `query` all but its select list.

    `named` are the columns that the body gives.
    """

    api: ApiTables
    table: Table
    request: Request
    view: View
    body: bytes
    content_type: str
    query: tuple[QueryPair, ...]
    filters: tuple[QueryPair, ...]
    caller: SessionCaller
    summary: str
    recorder: WriteRecorder
    max_rows: int | None
    policy: Policy
    """What the caller may do."""
    is_reviewed: bool = False
    """Whether it waits for a person's approval, or has one."""
    is_exact: bool = False
    """Whether a person has approved just these rows, so that none may be changed that is not as it was read."""
    is_capped: bool = True
    """Whether the server itself is asked to change no more rows than were read (PostgREST 12.2 and later)."""

    @property
    def named(self) -> frozenset[str]:
        return self.request.payload.keys if self.request.payload is not None else frozenset()

    @property
    def most(self) -> int:
        return MOST_ROWS if self.max_rows is None else min(self.max_rows, MOST_ROWS)

    def uncapped(self) -> "ApiWrite":
        return replace(self, is_capped=False)

    async def find_targets(self, also: Sequence[QueryPair] = ()) -> list[VersionedRow]:
        """The rows as they are that the client's filters choose. RowLimit before anything is changed."""
        zone = self.request.preferences.timezone
        prefer = [f"timezone={zone}"] if zone is not None else []  # the filters' times are in it
        found = await self.api.fetch(self.table, [*self.filters, *also], limit=self.most + 1, prefer=prefer)
        self.check_found(found)
        if any(row.version in _FOREIGN_VERSIONS for row in found.rows):
            raise no_row_versions(self.table)
        return found.rows

    def check_found(self, found: ApiRows) -> None:
        self.check_row_limit(max(len(found.rows), found.total))
        if found.total > len(found.rows):
            raise RowLimit(
                f"The project's API returns only {len(found.rows)} rows at a time, so no more can be recorded.",
                details={"limit": len(found.rows)},
                hint="Narrow the filter.",
            )

    def check_own_limit(self, count: int) -> None:
        """The caller's own limit alone, for every row that may change: what a key will do is not known."""
        if self.max_rows is not None and count > self.max_rows:
            raise row_limit(self.max_rows)

    def check_row_limit(self, count: int) -> None:
        self.check_own_limit(count)
        if count <= self.most:
            return
        raise RowLimit(
            "The write is too large to be recorded through the project's API. Nothing was changed.",
            details={"limit": self.most},
            hint="Narrow the filter, or add a Postgres connection string to the connection.",
        )

    def check_affected(self, count: int) -> None:
        """The client's own limit, by the rows that are there now; the server is asked to keep to their number."""
        asked = self.request.preferences
        if asked.is_strict and asked.max_affected is not None and count > asked.max_affected:
            raise max_affected_exceeded(count)

    async def record_intent(
        self, verb: str, before_verb: Verb, before: Sequence[VersionedRow], reserve: int, cascades: ReferringRows
    ) -> JournaledRequest:
        """Stores the write with the rows as they are; it may change up to `reserve` rows.

        A reviewed one has the rows that foreign keys may change, too.
        """
        entry = WriteEntry(
            caller=self.caller,
            xid=None,
            verb=verb,
            schema=self.table.schema,
            table=self.table.name,
            summary=self.summary,
            changes=tuple(make_intent_changes(self.table, before_verb, [row.image for row in before])),
            reserve=reserve,
            cascaded=cascades.list_before() if self.is_reviewed else (),
        )
        return await JournaledRequest.record_intent(self.recorder, entry)

    async def send(
        self, journaled: JournaledRequest, request: UpstreamRequest, selection: Selection
    ) -> tuple[UpstreamResponse, Sequence[ReturnedRow]]:
        """The response and the rows that it returned. Raises what `JournaledRequest.send` raises, or RowLimit."""
        try:
            response = await journaled.send(self.api.upstream, request)
        except UpstreamRefused as refused:
            if refused.answer.status in _TOO_LONG and not refused.code:
                raise too_many_rows() from refused
            raise
        try:
            return response, await read_apart(selection.read_returned, response.body)
        except UnreadableAnswer as error:
            journaled.mark_unknown()
            raise OutcomeUnknown from error

    def select(self, *, shows_updates: bool = False) -> Selection:
        return select_for_writing(self.table, self.view.selected, system="xmax" if shows_updates else None)

    def list_preferences(self, rows: int | None = None) -> list[str]:
        """The client's own that bear on the write, and ours: no more than `rows`, and no rollback."""
        asked = self.request.preferences
        given = (
            ("resolution", asked.resolution if self.request.method == "POST" else None),
            ("missing", asked.missing),
            ("count", asked.count),
            ("timezone", asked.timezone),
            ("tx", "commit"),
            ("handling", "strict" if rows is not None and self.is_capped else asked.handling),
            ("max-affected", rows if self.is_capped else None),
        )
        return [f"{name}={value}" for name, value in given if value is not None]


def too_many_rows() -> RowLimit:
    return RowLimit(
        "One request to the project's API cannot name so many rows. Nothing was changed.",
        hint="Narrow the filter, or add a Postgres connection string to the connection.",
    )
