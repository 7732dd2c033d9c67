"""DELETE: read the rows and what hangs on them, delete, see what is gone.

The rows that come back are the very ones that were deleted, so their images need no guard.
"""

from collections.abc import Sequence

from basewarden.gateway.api.cascades import (
    ReferringRows,
    collect_referring_rows,
    make_uncaptured,
    read_cascaded_after,
    read_or_none,
)
from basewarden.gateway.api.journaled_request import JournaledRequest
from basewarden.gateway.api.row_images import (
    ADDRESS,
    ReturnedRow,
    Selection,
    UnreadableAnswer,
    VersionedRow,
    read_apart,
)
from basewarden.gateway.api.tables import QUERY_ROOM, QueryPair
from basewarden.gateway.api.updates import drop_empty, send
from basewarden.gateway.api.upstream import UpstreamRequest
from basewarden.gateway.api.write import ApiWrite, ApiWriteResult, describe_change, make_intent_changes
from basewarden.gateway.errors import OutcomeUnknown
from basewarden.journal import Image
from pgrest import join_query, match_rows


async def write_delete(write: ApiWrite) -> ApiWriteResult:
    table = write.table
    before = await write.find_targets()
    write.check_affected(len(before))
    cascades = await collect_referring_rows(write.api, "delete", table, before, tables=write.tables)
    write.check_row_limit(len(before) + cascades.count_first())
    request, selection = _make_request(write, before)
    journaled = await write.record_intent(
        "delete", make_intent_changes(table, "delete", before), len(before) + len(cascades.rows)
    )
    answer = await send(write, journaled, request)
    try:
        written = await read_apart(selection.read_returned, answer.body)
    except UnreadableAnswer as error:
        journaled.mark_unknown()
        raise OutcomeUnknown from error
    await _finish(write, journaled, before, written, cascades)
    return ApiWriteResult(written, answer, journaled.recorded.session_id)


def _make_request(write: ApiWrite, before: Sequence[VersionedRow]) -> tuple[UpstreamRequest, Selection]:
    """Restricted to the rows that were read. More than can be named are left to the filter, and counted."""
    table, selection = write.table, write.select()
    query: list[QueryPair] = [*write.query, ("select", selection.text)]
    named = [*query, *match_rows(table.key or ADDRESS, [row.identity for row in before])]
    request = write.api.make_request(
        "DELETE",
        table,
        named if len(join_query(named)) <= QUERY_ROOM or not write.is_capped else query,
        prefer=write.list_preferences(len(before)),
        accept=write.view.accept,
    )
    return request, selection


async def _finish(
    write: ApiWrite,
    journaled: JournaledRequest,
    before: Sequence[VersionedRow],
    written: Sequence[ReturnedRow],
    cascades: ReferringRows,
) -> None:
    table = write.table
    changes = drop_empty([describe_change(table, row.image, None) for row in written])
    followers, unseen = await read_cascaded_after(write.api, cascades, {})
    if len(written) < len(before):
        unseen += await _count_kept(write, before, [row.image for row in written])
    await journaled.finish([*changes, *followers], unseen)


async def _count_kept(
    write: ApiWrite, before: Sequence[VersionedRow], gone: Sequence[Image]
) -> list[dict[str, object]]:
    """Rows that were to go and were changed instead: by a trigger, or by somebody else, which nobody can tell."""
    table = write.table
    if not table.key:
        return []
    deleted = {image.key(table.key) for image in gone}
    versions = {row.identity: row.version for row in before if row.identity not in deleted}
    now = await read_or_none(lambda: write.api.fetch_by(table, table.key, versions))
    changed = len(versions) if now is None else sum(row.version != versions[row.identity] for row in now)
    return [make_uncaptured(table.qualified, updated=changed)] if changed else []
