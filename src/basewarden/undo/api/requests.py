"""Sends one request of an undo, which is journaled before it is sent and after its response has arrived."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.gateway import OutcomeUnknown
from basewarden.gateway.api import (
    QUERY_ROOM,
    ApiTables,
    JournaledRequest,
    QueryPair,
    Selection,
    UnreadableAnswer,
    make_path,
    read_apart,
    select_for_writing,
)
from basewarden.journal import Image, Recorder, RowChange, SessionCaller, WriteEntry
from basewarden.undo.execution.changes import make_row_change
from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.planning.row_reader import Key
from pgrest import Table, join_query

MAX_SUMMARY = 500


class UndoRequestSender:
    """`has_written`: a request changed something, or may have. `transactions` are those of the requests.

    They are not known of requests whose address has no room for that question.
    """

    def __init__(self, api: ApiTables, recorder: Recorder, caller: SessionCaller, undo_id: UUID) -> None:
        self._api = api
        self._recorder = recorder
        self._caller = caller
        self._undo_id = undo_id
        self.has_written = False
        self.transactions: set[str] = set()

    async def send(
        self, method: str, rows: Sequence[RowPlan], query: Sequence[QueryPair], body: bytes = b""
    ) -> Mapping[Key, Image]:
        """Returns the rows of the response by their keys. `rows` are of one table.

        Raises UpstreamRefused or an AppError; nothing was changed then, except possibly after OutcomeUnknown.
        """
        table = rows[0].table
        selection = _select(method, table, query)
        request = self._api.make_request(
            method,
            table,
            [*query, ("select", selection.text)],
            prefer=("tx=commit",),
            content_type="application/json" if body else None,
            body=body,
        )
        journaled = await JournaledRequest.record_intent(self._recorder, self._make_entry(method, rows, query))
        try:
            answer = await journaled.send(self._api.upstream, request)
            written = await read_apart(selection.read_returned, answer.body)
        except OutcomeUnknown:
            self.has_written = True
            raise
        except UnreadableAnswer as error:
            self.has_written = True
            journaled.mark_unknown()
            raise OutcomeUnknown from error
        self.transactions.update(row.transaction for row in written if row.transaction is not None)
        images = {row.image.key(table.key): row.image for row in written}
        self.has_written = self.has_written or bool(images)
        await journaled.store_outcome(_describe(method, rows, images))
        return images

    def _make_entry(self, method: str, rows: Sequence[RowPlan], query: Sequence[QueryPair]) -> WriteEntry:
        table = rows[0].table
        words = "&".join(f"{name}={value}" for name, value in query if name != "xmin")
        return WriteEntry(
            caller=self._caller,
            xid=None,
            verb=rows[0].action,
            schema=table.schema,
            table=table.name,
            summary=f"{method} {make_path(table)}?{words}"[:MAX_SUMMARY],
            changes=tuple(make_row_change(row, row.current, None) for row in rows if row.current is not None),
            session_id=self._undo_id,
            reserve=len(rows),
        )


def _select(method: str, table: Table, query: Sequence[QueryPair]) -> Selection:
    known = select_for_writing(table, None, system="xmax" if method == "DELETE" else "xmin")
    has_room = len(join_query([*query, ("select", known.text)])) <= QUERY_ROOM
    return known if has_room else select_for_writing(table, None)


def _describe(method: str, rows: Sequence[RowPlan], images: Mapping[Key, Image]) -> list[RowChange]:
    """The image before a delete is in the response; before an update, the version that the request required."""
    if method == "DELETE":
        gone = ((row, images.get(row.current_key or ())) for row in rows)
        return [make_row_change(row, image, None) for row, image in gone if image is not None]
    there = ((row, images.get(row.target_key or ())) for row in rows)
    return [make_row_change(row, row.current, image) for row, image in there if image is not None]
