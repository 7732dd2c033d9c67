"""PATCH: read the rows, write exactly those, and only as they were read.

The write is restricted to the versions (xmin) of the rows that were read. So every row that it changes has an image
that is right to the letter, and what somebody changed in between is not touched, but read and written anew.
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
from basewarden.gateway.api.row_images import (
    ADDRESS,
    Identity,
    ReturnedRow,
    Selection,
    UnreadableAnswer,
    VersionedRow,
    read_apart,
)
from basewarden.gateway.api.tables import QUERY_ROOM, QueryPair
from basewarden.gateway.api.upstream import UpstreamRequest, UpstreamResponse
from basewarden.gateway.api.write import ApiWrite, ApiWriteResult, describe_change, make_intent_changes
from basewarden.gateway.direct.capture import SnapshotStale
from basewarden.gateway.errors import OutcomeUnknown, PartlyWritten, RowLimit, WriteConflict
from basewarden.journal import Image, RowChange
from pgrest import Table, join_query, match_rows

MOST_TRIES = 4
LONGEST_QUERY = 30_000
_TOO_LONG = (413, 414, 431)
_NOT_SINGULAR = "PGRST116"


class Part(NamedTuple):
    """What one request changed (None: it was refused for a race), and the rows that it was to change and did not."""

    outcome: ApiWriteResult | None
    missed: Sequence[VersionedRow]


class RowMatching(NamedTuple):
    """Rows before with what they are now; those that did not come back; and what came back without a row before."""

    pairs: list[tuple[VersionedRow, Image]]
    missed: list[VersionedRow]
    strays: list[Image]


async def write_update(write: ApiWrite) -> ApiWriteResult:
    """Raises PartlyWritten when others kept changing some of the rows; the session tells which were written."""
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
        raced = await _find_raced(write, part.missed)
        if raced:
            before = await write.find_targets(also=match_rows(_address(write.table), raced))
        if parts and (not raced or not before):
            return _merge(parts)
    raise WriteConflict


async def _try_part(write: ApiWrite, before: Sequence[VersionedRow]) -> Part:
    """Where one row alone is wanted, the one that somebody changed just now is missed, and all is as it was."""
    try:
        return await _write_part(write, before)
    except UpstreamRefused as refused:
        if refused.code == _NOT_SINGULAR and len(before) == 1 and await _find_raced(write, before):
            return Part(None, before)
        raise


def _has_written(parts: Sequence[ApiWriteResult]) -> bool:
    return any(part.rows for part in parts)


def _merge(parts: Sequence[ApiWriteResult]) -> ApiWriteResult:
    return parts[-1]._replace(rows=[row for part in parts for row in part.rows])


async def _write_part(write: ApiWrite, before: Sequence[VersionedRow]) -> Part:
    table = write.table
    request, selection = _make_request(write, before)
    cascades = await collect_referring_rows(write.api, "update", table, before, write.named, tables=write.tables)
    write.check_row_limit(len(before) + cascades.count_first())
    journaled = await write.record_intent(
        "update", make_intent_changes(table, "update", before), len(before) + len(cascades.rows)
    )
    answer = await send(write, journaled, request)
    try:
        written = await read_apart(selection.read_returned, answer.body)
    except UnreadableAnswer as error:
        journaled.mark_unknown()
        raise OutcomeUnknown from error
    pairing = match_returned_rows(table, before, written, write.named)
    await _finish(write, journaled, pairing, cascades)
    return Part(ApiWriteResult(written, answer, journaled.recorded.session_id), pairing.missed)


async def _finish(write: ApiWrite, journaled: JournaledRequest, pairing: RowMatching, cascades: ReferringRows) -> None:
    table = write.table
    changes = [describe_change(table, row.image, after, write.named) for row, after in pairing.pairs]
    if pairing.strays:  # moved to where nobody could foretell: in sum the row before went, and another one came
        gone = await _find_gone(write, pairing.missed)
        changes += [describe_change(table, row.image, None) for row in gone]
        changes += [describe_change(table, None, row) for row in pairing.strays]
    became: dict[tuple[tuple[str, str], Identity], Image | None] = {
        place_of(table, row): after for row, after in pairing.pairs
    }
    followers, unseen = await read_cascaded_after(write.api, cascades, became)
    await journaled.finish([*drop_empty(changes), *followers], unseen)


def drop_empty(changes: Sequence[RowChange | None]) -> list[RowChange]:
    return [change for change in changes if change is not None]


async def send(write: ApiWrite, journaled: JournaledRequest, request: UpstreamRequest) -> UpstreamResponse:
    try:
        return await journaled.send(write.api.upstream, request)
    except UpstreamRefused as refused:
        if refused.answer.status in _TOO_LONG and not refused.code:
            raise make_too_many() from refused
        raise


def make_too_many() -> RowLimit:
    return RowLimit(
        "One request to the project's API cannot name so many rows. Nothing was changed.",
        hint="Narrow the filter, or add a Postgres connection string to the connection.",
    )


def _make_request(write: ApiWrite, before: Sequence[VersionedRow]) -> tuple[UpstreamRequest, Selection]:
    """The versions alone say which rows; their keys are named as well where there is room."""
    selection = write.select()
    versions = list(dict.fromkeys((row.version,) for row in before))
    query: list[QueryPair] = [*write.query, ("select", selection.text), *match_rows(("xmin",), versions)]
    named = [*query, *match_rows(_address(write.table), [row.identity for row in before])]
    if len(join_query(named)) <= QUERY_ROOM:
        query = named
    elif len(join_query(query)) > LONGEST_QUERY:
        raise make_too_many()
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
    """Those that are another version now. One that is as it was, upstream itself left alone (a trigger did)."""
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
) -> RowMatching:
    """By the key; where the write changed that, by the rest of it; without a key, by what the write does not name."""
    if len(before) == len(written) == 1:
        return RowMatching([(before[0], written[0].image)], [], [])
    images = [row.image for row in written]
    pairs: list[tuple[VersionedRow, Image]] = []
    rest = list(before)
    if table.key:
        rest = _match(pairs, rest, images, table.key)
    stable = tuple(name for name in table.key or table.columns if name not in named)
    if stable != table.key:
        rest = _match(pairs, rest, images, stable)
    return RowMatching(pairs, rest, images)


def _match(
    pairs: list[tuple[VersionedRow, Image]],
    before: Sequence[VersionedRow],
    images: list[Image],
    columns: tuple[str, ...],
) -> list[VersionedRow]:
    """Moves what is the same in `columns` to `pairs`; returns what is left of `before`."""
    waiting: dict[Identity, list[Image]] = {}
    for image in images:
        waiting.setdefault(image.key(columns), []).append(image)
    left = []
    for row in before:
        same = waiting.get(row.image.key(columns))
        if same:
            pairs.append((row, same.pop(0)))
        else:
            left.append(row)
    images[:] = [image for group in waiting.values() for image in group]
    return left
