"""DELETE: read the rows and what hangs on them, delete, see what is gone.

The rows that come back are the very ones that were deleted, so their images need no guard.
"""

from collections.abc import Sequence

from basewarden.gateway.errors import OutcomeUnknown
from basewarden.gateway.forward.api import QUERY_ROOM, Pair
from basewarden.gateway.forward.deeds import Deed
from basewarden.gateway.forward.errand import ApiWriteResult, Errand, describe_change, foretell
from basewarden.gateway.forward.images import ADDRESS, Seen, Selection, UnreadableAnswer, Written, read_apart
from basewarden.gateway.forward.updates import carry_out, drop_empty
from basewarden.gateway.forward.upstream import UpstreamRequest
from basewarden.gateway.forward.wake import ReferringRows, collect_wake, count_unseen, follow, look
from basewarden.journal import Image
from pgrest import join_query, match_rows


async def write_delete(errand: Errand) -> ApiWriteResult:
    table = errand.table
    before = await errand.find_targets()
    errand.check_affected(len(before))
    wake = await collect_wake(errand.api, "delete", table, before, tables=errand.tables)
    errand.check_row_limit(len(before) + wake.count_first())
    request, selection = _make_request(errand, before)
    deed = await errand.announce("delete", foretell(table, "delete", before), len(before) + len(wake.followers))
    answer = await carry_out(errand, deed, request)
    try:
        written = await read_apart(selection.read_written, answer.body)
    except UnreadableAnswer as error:
        deed.give_up()
        raise OutcomeUnknown from error
    await _finish(errand, deed, before, written, wake)
    return ApiWriteResult(written, answer, deed.recorded.session_id)


def _make_request(errand: Errand, before: Sequence[Seen]) -> tuple[UpstreamRequest, Selection]:
    """Restricted to the rows that were read. More than can be named are left to the filter, and counted."""
    table, selection = errand.table, errand.select()
    query: list[Pair] = [*errand.query, ("select", selection.text)]
    named = [*query, *match_rows(table.key or ADDRESS, [row.identity for row in before])]
    request = errand.api.make_request(
        "DELETE",
        table,
        named if len(join_query(named)) <= QUERY_ROOM or not errand.is_capped else query,
        prefer=errand.list_preferences(len(before)),
        accept=errand.view.accept,
    )
    return request, selection


async def _finish(
    errand: Errand, deed: Deed, before: Sequence[Seen], written: Sequence[Written], wake: ReferringRows
) -> None:
    table = errand.table
    changes = drop_empty([describe_change(table, row.image, None) for row in written])
    followers, unseen = await follow(errand.api, wake, {})
    if len(written) < len(before):
        unseen += await _count_kept(errand, before, [row.image for row in written])
    await deed.finish([*changes, *followers], unseen)


async def _count_kept(errand: Errand, before: Sequence[Seen], gone: Sequence[Image]) -> list[dict[str, object]]:
    """Rows that were to go and were changed instead: by a trigger, or by somebody else, which nobody can tell."""
    table = errand.table
    if not table.key:
        return []
    deleted = {image.key(table.key) for image in gone}
    versions = {row.identity: row.version for row in before if row.identity not in deleted}
    now = await look(lambda: errand.api.fetch_by(table, table.key, versions))
    changed = len(versions) if now is None else sum(row.version != versions[row.identity] for row in now)
    return [count_unseen(table.qualified, updated=changed)] if changed else []
