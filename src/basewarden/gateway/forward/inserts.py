"""POST and PUT to a table: what an upsert will meet is read before, and what came of each row is told by the answer.

An upsert takes no condition, so nothing guards the moment between the look and the write. Whether a row was inserted
or updated the answer tells (xmax); what it was before is as it was read, in the columns that the body names.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from basewarden.gateway.errors import OutcomeUnknown
from basewarden.gateway.forward.deeds import Deed, UpstreamRefused
from basewarden.gateway.forward.errand import ApiWriteResult, Errand, describe_change, foretell
from basewarden.gateway.forward.images import Identity, JsonRow, Seen, UnreadableAnswer, Written, read_apart
from basewarden.gateway.forward.updates import carry_out, drop_empty
from basewarden.gateway.forward.upstream import UpstreamRequest
from basewarden.gateway.forward.wake import (
    ReferringRows,
    collect_wake,
    count_unseen,
    follow,
    leave_theirs,
    look,
    place_of,
)

if TYPE_CHECKING:
    from basewarden.journal import Image, RowChange

_NOT_IN_THIS_CONTEXT = "0A000"


async def write_insert(errand: Errand) -> ApiWriteResult:
    rows = read_payload(errand)
    errand.check_own_limit(len(rows))
    before = await _find_existing(errand, rows)
    changed = errand.named.difference(conflict_columns(errand))
    wake = await collect_wake(errand.api, "update", errand.table, before, changed, tables=errand.tables)
    errand.check_own_limit(len(rows) + wake.count_first())
    if is_merge(errand):
        try:
            return await _write(errand, before, wake, len(rows), tells_updates=True)
        except UpstreamRefused as refused:
            if refused.code != _NOT_IN_THIS_CONTEXT:
                raise  # a partitioned table cannot tell
    return await _write(errand, before, wake, len(rows), tells_updates=False)


async def _write(
    errand: Errand, before: Sequence[Seen], wake: ReferringRows, count: int, *, tells_updates: bool
) -> ApiWriteResult:
    selection = errand.select(tells_updates=tells_updates)
    request = _make_request(errand, selection.text)
    reserve = max(count, len(before)) + len(wake.followers)
    deed = await errand.announce("insert", foretell(errand.table, "update", before), reserve)
    answer = await carry_out(errand, deed, request)
    try:
        written = await read_apart(selection.read_written, answer.body)
    except UnreadableAnswer as error:
        deed.give_up()
        raise OutcomeUnknown from error
    await _finish(errand, deed, before, written, wake)
    return ApiWriteResult(written, answer, deed.recorded.session_id)


def _make_request(errand: Errand, selected: str) -> UpstreamRequest:
    return errand.api.make_request(
        errand.request.method,
        errand.table,
        [*errand.query, ("select", selected)],
        prefer=errand.list_preferences(),
        accept=errand.view.accept,
        content_type=errand.content_type,
        body=errand.body,
    )


async def _finish(
    errand: Errand, deed: Deed, before: Sequence[Seen], written: Sequence[Written], wake: ReferringRows
) -> None:
    table, named = errand.table, errand.named
    pairs = await _pair(errand, before, written)
    changes: list[RowChange | None] = []
    met: dict[tuple[tuple[str, str], Identity], Image | None] = {}
    unread = 0
    for row, old in zip(written, pairs, strict=True):
        if old is not None:
            met[place_of(table, old)] = row.image
            was = leave_theirs(table, old.image, row.image, named)
            changes.append(describe_change(table, was, row.image, named))
        elif row.is_update:
            unread += 1  # somebody put it there after we had looked
        else:
            changes.append(describe_change(table, None, row.image))
    followers, unseen = await follow(errand.api, wake, met)
    if unread:
        unseen.append(count_unseen(table.qualified, updated=unread))
    await deed.finish([*drop_empty(changes), *followers], unseen)


async def _pair(errand: Errand, before: Sequence[Seen], written: Sequence[Written]) -> list[Seen | None]:
    """For each written row the one that it was: by the text of the conflict columns, then by their equality."""
    if not before:
        return [None] * len(written)
    columns = conflict_columns(errand)
    old = {row.image.key(columns): row for row in before}
    found = [None if row.is_update is False else old.pop(row.image.key(columns), None) for row in written]
    open_places = [place for place, row in enumerate(written) if row.is_update and found[place] is None]
    for was in list(old.values()) if open_places else ():
        same = partial(errand.api.fetch_by, errand.table, columns, [was.image.key(columns)])
        now = await look(same) or []
        for place in open_places:
            if any(row.image.key(columns) == written[place].image.key(columns) for row in now):
                found[place] = was
    return found


# What the body says -------------------------------------------------------------------------------------


def is_merge(errand: Errand) -> bool:
    is_asked = errand.request.method == "PUT" or errand.request.preferences.resolution == "merge-duplicates"
    return is_asked and bool(conflict_columns(errand)) and bool(errand.named)


def conflict_columns(errand: Errand) -> tuple[str, ...]:
    asked = errand.request.query.on_conflict
    return asked if asked is not None and errand.request.method == "POST" else errand.table.primary_key


def read_payload(errand: Errand) -> Sequence[JsonRow]:
    """Its rows; none of a body that is no rows, which upstream refuses in its own words."""
    payload = errand.request.payload
    if payload is None:
        return []
    try:
        if payload.is_object:
            return [msgspec.json.decode(payload.body, type=dict[str, msgspec.Raw])]
        return msgspec.json.decode(payload.body, type=list[dict[str, msgspec.Raw]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


async def _find_existing(errand: Errand, rows: Sequence[JsonRow]) -> list[Seen]:
    """The rows that the body's conflict columns name. Reading them proves the table; else that is done first."""
    columns = conflict_columns(errand)
    keys = [key for row in rows if (key := _read_key(row, columns)) is not None] if is_merge(errand) else []
    if not keys:
        await errand.api.prove_table(errand.table)
        return []
    return await errand.api.fetch_by(errand.table, columns, keys)


def _read_key(row: JsonRow, columns: Sequence[str]) -> Identity | None:
    """None where a value is missing or null: it cannot meet a row, or nobody knows which."""
    values = [_read_value(row.get(column)) for column in columns]
    return None if None in values else tuple(value or "" for value in values)


def _read_value(token: msgspec.Raw | None) -> str | None:
    value = b"null" if token is None else bytes(token)
    if value == b"null":
        return None
    return msgspec.json.decode(value, type=str) if value[:1] == b'"' else value.decode()
