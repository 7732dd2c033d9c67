"""PATCH: read the rows, write exactly those, and only as they were read.

The write is restricted to the versions (xmin) of the rows that were read. So every row that it changes has an image
that is right to the letter, and what somebody changed in between is not touched, but read and written anew.
"""

from collections.abc import Sequence
from typing import NamedTuple

from basewarden.errors import AppError
from basewarden.gateway.capture import SnapshotStale
from basewarden.gateway.errors import CaptureRaced, OutcomeUnknown, PartlyWritten, RowLimit
from basewarden.gateway.forward.api import QUERY_ROOM, Pair
from basewarden.gateway.forward.deeds import Deed, UpstreamRefused
from basewarden.gateway.forward.errand import ApiWriteResult, Errand, describe_change, foretell
from basewarden.gateway.forward.images import ADDRESS, Identity, Seen, Selection, UnreadableAnswer, Written, read_apart
from basewarden.gateway.forward.upstream import UpstreamAnswer, UpstreamRequest
from basewarden.gateway.forward.wake import ReferringRows, collect_wake, follow, look, place_of
from basewarden.journal import Image, RowChange
from pgrest import Table, join_query, match_rows

MOST_TRIES = 4
LONGEST_QUERY = 30_000
_TOO_LONG = (413, 414, 431)
_NOT_SINGULAR = "PGRST116"


class Part(NamedTuple):
    """What one request changed (None: it was refused for a race), and the rows that it was to change and did not."""

    outcome: ApiWriteResult | None
    missed: Sequence[Seen]


class Pairing(NamedTuple):
    """Rows before with what they are now; those that did not come back; and what came back without a row before."""

    pairs: list[tuple[Seen, Image]]
    missed: list[Seen]
    strays: list[Image]


async def write_update(errand: Errand) -> ApiWriteResult:
    """Raises PartlyWritten when others kept changing some of the rows; the session tells which were written."""
    parts: list[ApiWriteResult] = []
    try:
        return await _write_parts(errand, parts)
    except OutcomeUnknown:
        raise
    except (AppError, UpstreamRefused, SnapshotStale) as error:
        if _has_written(parts):
            raise PartlyWritten from error
        raise


async def _write_parts(errand: Errand, parts: list[ApiWriteResult]) -> ApiWriteResult:
    before = await errand.find_targets()
    errand.check_affected(len(before))
    for _ in range(MOST_TRIES):
        part = await _try_part(errand, before)
        if part.outcome is not None:
            parts.append(part.outcome)
        raced = await _find_raced(errand, part.missed)
        if raced:
            before = await errand.find_targets(also=match_rows(_address(errand.table), raced))
        if parts and (not raced or not before):
            return _merge(parts)
    raise CaptureRaced


async def _try_part(errand: Errand, before: Sequence[Seen]) -> Part:
    """Where one row alone is wanted, the one that somebody changed just now is missed, and all is as it was."""
    try:
        return await _write_part(errand, before)
    except UpstreamRefused as refused:
        if refused.code == _NOT_SINGULAR and len(before) == 1 and await _find_raced(errand, before):
            return Part(None, before)
        raise


def _has_written(parts: Sequence[ApiWriteResult]) -> bool:
    return any(part.rows for part in parts)


def _merge(parts: Sequence[ApiWriteResult]) -> ApiWriteResult:
    return parts[-1]._replace(rows=[row for part in parts for row in part.rows])


async def _write_part(errand: Errand, before: Sequence[Seen]) -> Part:
    table = errand.table
    request, selection = _make_request(errand, before)
    wake = await collect_wake(errand.api, "update", table, before, errand.named, tables=errand.tables)
    errand.check_row_limit(len(before) + wake.count_first())
    deed = await errand.announce("update", foretell(table, "update", before), len(before) + len(wake.followers))
    answer = await carry_out(errand, deed, request)
    try:
        written = await read_apart(selection.read_written, answer.body)
    except UnreadableAnswer as error:
        deed.give_up()
        raise OutcomeUnknown from error
    pairing = pair_rows(table, before, written, errand.named)
    await _finish(errand, deed, pairing, wake)
    return Part(ApiWriteResult(written, answer, deed.recorded.session_id), pairing.missed)


async def _finish(errand: Errand, deed: Deed, pairing: Pairing, wake: ReferringRows) -> None:
    table = errand.table
    changes = [describe_change(table, row.image, after, errand.named) for row, after in pairing.pairs]
    if pairing.strays:  # moved to where nobody could foretell: in sum the row before went, and another one came
        gone = await _find_gone(errand, pairing.missed)
        changes += [describe_change(table, row.image, None) for row in gone]
        changes += [describe_change(table, None, row) for row in pairing.strays]
    became: dict[tuple[tuple[str, str], Identity], Image | None] = {
        place_of(table, row): after for row, after in pairing.pairs
    }
    followers, unseen = await follow(errand.api, wake, became)
    await deed.finish([*drop_empty(changes), *followers], unseen)


def drop_empty(changes: Sequence[RowChange | None]) -> list[RowChange]:
    return [change for change in changes if change is not None]


async def carry_out(errand: Errand, deed: Deed, request: UpstreamRequest) -> UpstreamAnswer:
    try:
        return await deed.carry_out(errand.api.upstream, request)
    except UpstreamRefused as refused:
        if refused.answer.status in _TOO_LONG and not refused.code:
            raise make_too_many() from refused
        raise


def make_too_many() -> RowLimit:
    return RowLimit(
        "More rows than can be named in one request over the project's own API, so none was changed.",
        hint="Narrow the filter, or give the connection a Postgres address as well.",
    )


def _make_request(errand: Errand, before: Sequence[Seen]) -> tuple[UpstreamRequest, Selection]:
    """The versions alone say which rows; their keys are named as well where there is room."""
    selection = errand.select()
    versions = list(dict.fromkeys((row.version,) for row in before))
    query: list[Pair] = [*errand.query, ("select", selection.text), *match_rows(("xmin",), versions)]
    named = [*query, *match_rows(_address(errand.table), [row.identity for row in before])]
    if len(join_query(named)) <= QUERY_ROOM:
        query = named
    elif len(join_query(query)) > LONGEST_QUERY:
        raise make_too_many()
    request = errand.api.make_request(
        "PATCH",
        errand.table,
        query,
        prefer=errand.list_preferences(len(before)),
        accept=errand.view.accept,
        content_type=errand.content_type,
        body=errand.body,
    )
    return request, selection


def _address(table: Table) -> tuple[str, ...]:
    return table.key or ADDRESS


async def _find_raced(errand: Errand, missed: Sequence[Seen]) -> list[Identity]:
    """Those that are another version now. One that is as it was, upstream itself left alone (a trigger did)."""
    if not missed:
        return []
    versions = {row.identity: row.version for row in missed}
    now = await errand.api.fetch_by(errand.table, _address(errand.table), versions)
    if not errand.table.key and len(now) < len(missed):
        raise PartlyWritten  # without a key, a row that was changed cannot be found again
    return [row.identity for row in now if row.version != versions[row.identity]]


async def _find_gone(errand: Errand, missed: Sequence[Seen]) -> list[Seen]:
    places = [row.identity for row in missed]
    now = await look(lambda: errand.api.fetch_by(errand.table, _address(errand.table), places)) or []
    there = {row.identity for row in now}
    return [row for row in missed if row.identity not in there]


def pair_rows(table: Table, before: Sequence[Seen], written: Sequence[Written], named: frozenset[str]) -> Pairing:
    """By the key; where the write changed that, by the rest of it; without a key, by what the write does not name."""
    if len(before) == len(written) == 1:
        return Pairing([(before[0], written[0].image)], [], [])
    images = [row.image for row in written]
    pairs: list[tuple[Seen, Image]] = []
    rest = list(before)
    if table.key:
        rest = _match(pairs, rest, images, table.key)
    stable = tuple(name for name in table.key or table.columns if name not in named)
    if stable != table.key:
        rest = _match(pairs, rest, images, stable)
    return Pairing(pairs, rest, images)


def _match(
    pairs: list[tuple[Seen, Image]], before: Sequence[Seen], images: list[Image], columns: tuple[str, ...]
) -> list[Seen]:
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
