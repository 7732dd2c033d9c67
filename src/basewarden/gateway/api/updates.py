"""PATCH: read the rows, write exactly those, and only as they were read.

The write is restricted to the versions (xmin) of the rows that were read. So every row that it changes has an exact
image, and a row that another client changed in between is not written, but read again first.
"""

from collections.abc import Sequence
from typing import NamedTuple

from basewarden.errors import AppError
from basewarden.gateway.api.cascades import (
    ReferringRows,
    collect_referring_rows,
    place_of,
    read_cascaded_after,
    read_or_none,
)
from basewarden.gateway.api.journaled_request import JournaledRequest, UpstreamRefused
from basewarden.gateway.api.row_images import ADDRESS, ReturnedRow, Selection, VersionedRow
from basewarden.gateway.api.tables import LONGEST_QUERY, QUERY_ROOM, QueryPair
from basewarden.gateway.api.upstream import UpstreamRequest
from basewarden.gateway.api.write import ApiWrite, ApiWriteResult, too_many_rows
from basewarden.gateway.errors import OutcomeUnknown, PartlyWritten, WriteConflict
from basewarden.gateway.recording.cascades import Identity
from basewarden.gateway.recording.row_changes import drop_unchanged, make_row_change
from basewarden.gateway.recording.row_matching import RowMatching, match_by_columns, stable_columns
from basewarden.gateway.recording.schema_retry import SnapshotStale
from pgrest import Table, join_query, match_rows

MOST_TRIES = 4
_NOT_SINGULAR = "PGRST116"

Matching = RowMatching[VersionedRow, ReturnedRow]


class Part(NamedTuple):
    """The result of one request (None: a concurrent change refused it), and the rows that it did not change."""

    outcome: ApiWriteResult | None
    missed: Sequence[VersionedRow]


async def write_update(write: ApiWrite) -> ApiWriteResult:
    """Raises PartlyWritten when others kept changing some of the rows; the session shows which were written."""
    parts: list[ApiWriteResult] = []
    try:
        return await _write_parts(write, parts)
    except OutcomeUnknown:
        raise
    except (AppError, UpstreamRefused, SnapshotStale) as error:
        if _has_written(parts):
            raise PartlyWritten from error
        raise


async def _write_parts(write: ApiWrite, parts: list[ApiWriteResult]) -> ApiWriteResult:
    before = await write.find_targets()
    write.check_affected(len(before))
    for _ in range(MOST_TRIES):
        part = await _try_part(write, before)
        if part.outcome is not None:
            parts.append(part.outcome)
        if write.is_exact and part.missed:
            raise WriteConflict
        raced = await _find_raced(write, part.missed)
        if raced:
            before = await write.find_targets(also=match_rows(_address(write.table), raced))
        if parts and (not raced or not before):
            return _merge(parts)
    raise WriteConflict


async def _try_part(write: ApiWrite, before: Sequence[VersionedRow]) -> Part:
    """Where exactly one row is wanted, a concurrent change of it is no error: the row is missed."""
    try:
        return await _write_part(write, before)
    except UpstreamRefused as refused:
        if refused.code == _NOT_SINGULAR and len(before) == 1 and await _find_raced(write, before):
            return Part(None, before)
        raise


def _has_written(parts: Sequence[ApiWriteResult]) -> bool:
    return any(part.rows for part in parts)


def _merge(parts: Sequence[ApiWriteResult]) -> ApiWriteResult:
    changing = [part.write_id for part in parts if part.rows]
    only = changing[0] if len(changing) == 1 else None
    return parts[-1]._replace(rows=[row for part in parts for row in part.rows], write_id=only)


async def _write_part(write: ApiWrite, before: Sequence[VersionedRow]) -> Part:
    table = write.table
    request, selection = _make_request(write, before)
    cascades = await collect_referring_rows(write.api, "update", table, before, write.named, policy=write.policy)
    write.check_own_limit(len(before) + len(cascades.rows))
    write.check_row_limit(len(before) + cascades.count_first())
    journaled = await write.record_intent("update", "update", before, len(before) + len(cascades.rows), cascades)
    answer, written = await write.send(journaled, request, selection)
    matching = match_returned_rows(table, before, written, write.named)
    await _store_outcome(write, journaled, matching, cascades)
    recorded = journaled.recorded
    return Part(ApiWriteResult(written, answer, recorded.session_id, recorded.write_id), matching.missed)


async def _store_outcome(
    write: ApiWrite, journaled: JournaledRequest, matching: Matching, cascades: ReferringRows
) -> None:
    table = write.table
    changes = [make_row_change(table, row.image, after.image, set_columns=write.named) for row, after in matching.pairs]
    if matching.unmatched:  # their new keys cannot be computed: recorded as rows that went and others that came
        gone = await _find_gone(write, matching.missed)
        changes += [make_row_change(table, row.image, None) for row in gone]
        changes += [make_row_change(table, None, row.image) for row in matching.unmatched]
    after = {place_of(table, row): found.image for row, found in matching.pairs}
    cascaded, uncaptured = await read_cascaded_after(write.api, cascades, after)
    await journaled.store_outcome([*drop_unchanged(changes), *cascaded], uncaptured)


def _make_request(write: ApiWrite, before: Sequence[VersionedRow]) -> tuple[UpstreamRequest, Selection]:
    """The versions alone say which rows; their keys are named as well where there is room."""
    selection = write.select()
    versions = list(dict.fromkeys((row.version,) for row in before))
    query: list[QueryPair] = [*write.query, ("select", selection.text), *match_rows(("xmin",), versions)]
    named = [*query, *match_rows(_address(write.table), [row.identity for row in before])]
    if len(join_query(named)) <= QUERY_ROOM:
        query = named
    elif len(join_query(query)) > LONGEST_QUERY:
        raise too_many_rows()
    request = write.api.make_request(
        "PATCH",
        write.table,
        query,
        prefer=write.list_preferences(len(before)),
        accept=write.view.accept,
        content_type=write.content_type,
        body=write.body,
    )
    return request, selection


def _address(table: Table) -> tuple[str, ...]:
    return table.key or ADDRESS


async def _find_raced(write: ApiWrite, missed: Sequence[VersionedRow]) -> list[Identity]:
    """Those that have another version now. A row with the same version was left alone by upstream (by a trigger)."""
    if not missed:
        return []
    versions = {row.identity: row.version for row in missed}
    now = await write.api.fetch_by(write.table, _address(write.table), versions)
    if not write.table.key and len(now) < len(missed):
        raise PartlyWritten  # without a key, a row that was changed cannot be found again
    return [row.identity for row in now if row.version != versions[row.identity]]


async def _find_gone(write: ApiWrite, missed: Sequence[VersionedRow]) -> list[VersionedRow]:
    places = [row.identity for row in missed]
    now = await read_or_none(lambda: write.api.fetch_by(write.table, _address(write.table), places)) or []
    there = {row.identity for row in now}
    return [row for row in missed if row.identity not in there]


def match_returned_rows(
    table: Table, before: Sequence[VersionedRow], written: Sequence[ReturnedRow], named: frozenset[str]
) -> Matching:
    """By the key; where the write changed that, by the rest of it; without a key, by what the write does not name."""
    if len(before) == len(written) == 1:
        return RowMatching([(before[0], written[0])], [], [])
    matching: Matching = RowMatching([], list(before), list(written))
    stable = stable_columns(table, named)
    for columns in dict.fromkeys((table.key, stable) if table.key else (stable,)):
        rest = match_by_columns(matching.missed, matching.unmatched, columns)
        matching = RowMatching([*matching.pairs, *rest.pairs], rest.missed, rest.unmatched)
    return matching
