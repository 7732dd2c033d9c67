"""DELETE: read the rows and those that refer to them, delete, see which are gone.

The response returns exactly the rows that were deleted, so their images need no guard.
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
from basewarden.gateway.api.row_images import ADDRESS, ReturnedRow, Selection, VersionedRow
from basewarden.gateway.api.tables import LONGEST_QUERY, QUERY_ROOM, QueryPair
from basewarden.gateway.api.upstream import UpstreamRequest
from basewarden.gateway.api.write import ApiWrite, ApiWriteResult, too_many_rows
from basewarden.gateway.errors import PartlyWritten, WriteConflict
from basewarden.gateway.recording.row_changes import drop_unchanged, make_row_change
from basewarden.journal import Image, UncapturedChanges
from pgrest import join_query, match_rows


async def write_delete(write: ApiWrite) -> ApiWriteResult:
    table = write.table
    before = await write.find_targets()
    write.check_affected(len(before))
    cascades = await collect_referring_rows(write.api, "delete", table, before, policy=write.policy)
    write.check_own_limit(len(before) + len(cascades.rows))
    write.check_row_limit(len(before) + cascades.count_first())
    request, selection = _make_request(write, before)
    journaled = await write.record_intent("delete", "delete", before, len(before) + len(cascades.rows), cascades)
    answer, written = await write.send(journaled, request, selection)
    await _store_outcome(write, journaled, before, written, cascades)
    if write.is_exact and len(written) < len(before):
        raise PartlyWritten if written else WriteConflict
    return ApiWriteResult(written, answer, journaled.recorded.session_id, journaled.recorded.write_id)


def _make_request(write: ApiWrite, before: Sequence[VersionedRow]) -> tuple[UpstreamRequest, Selection]:
    """Restricted to the rows that were read. More than can be named are left to the filter, and counted.

    An exact one is restricted to their versions, too.
    """
    table, selection = write.table, write.select()
    query: list[QueryPair] = [*write.query, ("select", selection.text)]
    if write.is_exact:
        query += match_rows(("xmin",), list(dict.fromkeys((row.version,) for row in before)))
        if len(join_query(query)) > LONGEST_QUERY:
            raise too_many_rows()
    named = [*query, *match_rows(table.key or ADDRESS, [row.identity for row in before])]
    request = write.api.make_request(
        "DELETE",
        table,
        named if len(join_query(named)) <= QUERY_ROOM or not write.is_capped else query,
        prefer=write.list_preferences(len(before)),
        accept=write.view.accept,
    )
    return request, selection


async def _store_outcome(
    write: ApiWrite,
    journaled: JournaledRequest,
    before: Sequence[VersionedRow],
    written: Sequence[ReturnedRow],
    cascades: ReferringRows,
) -> None:
    changes = drop_unchanged(make_row_change(write.table, row.image, None) for row in written)
    cascaded, uncaptured = await read_cascaded_after(write.api, cascades, {})
    if len(written) < len(before):
        uncaptured += await _count_kept(write, before, [row.image for row in written])
    await journaled.store_outcome([*changes, *cascaded], uncaptured)


async def _count_kept(
    write: ApiWrite, before: Sequence[VersionedRow], gone: Sequence[Image]
) -> list[UncapturedChanges]:
    """Rows that were not deleted but changed, by a trigger or by another client: which of the two is not known."""
    table = write.table
    if not table.key:
        return []
    deleted = {image.key(table.key) for image in gone}
    versions = {row.identity: row.version for row in before if row.identity not in deleted}
    now = await read_or_none(lambda: write.api.fetch_by(table, table.key, versions))
    changed = len(versions) if now is None else sum(row.version != versions[row.identity] for row in now)
    return [make_uncaptured(table.qualified, updated=changed)] if changed else []
