"""One request of an undo, told to the journal before it goes out and after its answer has come."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.gateway.api.journaled_request import JournaledRequest
from basewarden.gateway.api.row_images import UnreadableAnswer, read_apart, select_for_writing
from basewarden.gateway.api.tables import ApiTables, QueryPair, make_path
from basewarden.gateway.errors import OutcomeUnknown
from basewarden.journal import Image, Recorder, RowChange, SessionCaller, WriteEntry
from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.planning.row_reader import Key

MAX_SUMMARY = 500


class UndoRequestSender:
    """`has_written`: something was changed, or may have been."""

    def __init__(self, api: ApiTables, recorder: Recorder, caller: SessionCaller, undo_id: UUID) -> None:
        self._api = api
        self._recorder = recorder
        self._caller = caller
        self._undo_id = undo_id
        self.has_written = False

    async def send(
        self, method: str, rows: Sequence[RowPlan], query: Sequence[QueryPair], body: bytes = b""
    ) -> Mapping[Key, Image]:
        """The rows that came back, by their keys there. `rows` are of one table.

        Raises UpstreamRefused or an AppError; then nothing was changed, but after OutcomeUnknown.
        """
        table = rows[0].table
        selection = select_for_writing(table, None)
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
        images = {row.image.key(table.key): row.image for row in written}
        self.has_written = self.has_written or bool(images)
        await journaled.finish(_describe(method, rows, images))
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
            changes=tuple(_make_change(row, row.current, None) for row in rows if row.current is not None),
            session_id=self._undo_id,
            reserve=len(rows),
        )


def _describe(method: str, rows: Sequence[RowPlan], images: Mapping[Key, Image]) -> list[RowChange]:
    """What was deleted is known by its answer; what was changed, by the version that the request was restricted to."""
    if method == "DELETE":
        gone = ((row, images.get(row.current_key or ())) for row in rows)
        return [_make_change(row, image, None) for row, image in gone if image is not None]
    there = ((row, images.get(row.target_key or ())) for row in rows)
    return [_make_change(row, row.current, image) for row, image in there if image is not None]


def _make_change(row: RowPlan, before: Image | None, after: Image | None) -> RowChange:
    verb = row.action if row.action != "nothing" else "update"
    stamps = {name for name, change in row.change.columns.items() if change.is_trigger_set}
    set_columns = tuple(name for name in row.written if name not in stamps)
    return RowChange(row.table.schema, row.table.name, verb, row.table.key, before, after, "request", set_columns)
