"""POST and PUT to a table: the rows that an upsert will meet are read before; the response says what became of each.

An upsert takes no condition, so nothing guards the moment between reading and writing. The response says whether a row
was inserted or updated (xmax); its image before is as it was read, in the columns that the body names.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from basewarden.gateway.api.cascades import (
    ReferringRows,
    collect_referring_rows,
    keep_others_changes,
    make_uncaptured,
    place_of,
    read_cascaded_after,
    read_or_none,
)
from basewarden.gateway.api.journaled_request import JournaledRequest, UpstreamRefused
from basewarden.gateway.api.row_images import JsonRow, ReturnedRow, VersionedRow
from basewarden.gateway.api.upstream import UpstreamRequest
from basewarden.gateway.api.write import ApiWrite, ApiWriteResult
from basewarden.gateway.recording.cascades import Identity, RowPlace
from basewarden.gateway.recording.row_changes import drop_unchanged, make_row_change
from basewarden.gateway.recording.sqlstates import FEATURE_NOT_SUPPORTED
from pgrest import too_deep

if TYPE_CHECKING:
    from basewarden.journal import Image, RowChange


async def write_insert(write: ApiWrite) -> ApiWriteResult:
    rows = read_payload(write)
    write.check_own_limit(len(rows))
    before = await _find_existing(write, rows)
    changed = write.named.difference(conflict_columns(write))
    cascades = await collect_referring_rows(write.api, "update", write.table, before, changed, policy=write.policy)
    write.check_own_limit(len(rows) + len(cascades.rows))
    if is_merge(write):
        try:
            return await _write(write, before, cascades, len(rows), shows_updates=True)
        except UpstreamRefused as refused:
            if refused.code != FEATURE_NOT_SUPPORTED:
                raise  # a partitioned table does not say
    return await _write(write, before, cascades, len(rows), shows_updates=False)


async def _write(
    write: ApiWrite, before: Sequence[VersionedRow], cascades: ReferringRows, count: int, *, shows_updates: bool
) -> ApiWriteResult:
    selection = write.select(shows_updates=shows_updates)
    request = _make_request(write, selection.text)
    reserve = max(count, len(before)) + len(cascades.rows)
    journaled = await write.record_intent("insert", "update", before, reserve, cascades)
    answer, written = await write.send(journaled, request, selection)
    await _store_outcome(write, journaled, before, written, cascades)
    return ApiWriteResult(written, answer, journaled.recorded.session_id, journaled.recorded.write_id)


def _make_request(write: ApiWrite, selected: str) -> UpstreamRequest:
    return write.api.make_request(
        write.request.method,
        write.table,
        [*write.query, ("select", selected)],
        prefer=write.list_preferences(),
        accept=write.view.accept,
        content_type=write.content_type,
        body=write.body,
    )


async def _store_outcome(
    write: ApiWrite,
    journaled: JournaledRequest,
    before: Sequence[VersionedRow],
    written: Sequence[ReturnedRow],
    cascades: ReferringRows,
) -> None:
    table, named = write.table, write.named
    changes: list[RowChange | None] = []
    after: dict[RowPlace, Image | None] = {}
    unread = 0
    for row, old in zip(written, await _pair(write, before, written), strict=True):
        if old is not None:
            after[place_of(table, old)] = row.image
            own_before = keep_others_changes(table, old.image, row.image, named)
            changes.append(make_row_change(table, own_before, row.image, set_columns=named))
        elif row.is_update:
            unread += 1  # another client inserted it after we had read
        else:
            changes.append(make_row_change(table, None, row.image))
    cascaded, uncaptured = await read_cascaded_after(write.api, cascades, after)
    if unread:
        uncaptured.append(make_uncaptured(table.qualified, updated=unread))
    await journaled.store_outcome([*drop_unchanged(changes), *cascaded], uncaptured)


async def _pair(
    write: ApiWrite, before: Sequence[VersionedRow], written: Sequence[ReturnedRow]
) -> list[VersionedRow | None]:
    """For each written row the one that it was: by the text of the conflict columns, then by their equality."""
    if not before:
        return [None] * len(written)
    columns = conflict_columns(write)
    old = {row.image.key(columns): row for row in before}
    found = [None if row.is_update is False else old.pop(row.image.key(columns), None) for row in written]
    open_places = [place for place, row in enumerate(written) if row.is_update and found[place] is None]
    for was in list(old.values()) if open_places else ():
        same = partial(write.api.fetch_by, write.table, columns, [was.image.key(columns)])
        now = await read_or_none(same) or []
        for place in open_places:
            if any(row.image.key(columns) == written[place].image.key(columns) for row in now):
                found[place] = was
    return found


# What the body says -------------------------------------------------------------------------------------


def is_merge(write: ApiWrite) -> bool:
    is_asked = write.request.method == "PUT" or write.request.preferences.resolution == "merge-duplicates"
    return is_asked and bool(conflict_columns(write)) and bool(write.named)


def conflict_columns(write: ApiWrite) -> tuple[str, ...]:
    asked = write.request.query.on_conflict
    return asked if asked is not None and write.request.method == "POST" else write.table.primary_key


def read_payload(write: ApiWrite) -> Sequence[JsonRow]:
    """Its rows; none of a body that is no rows, which upstream refuses in its own words.

    Raises PgrestError for one that is too deep to decode: the project might take it, and write unknown rows.
    """
    payload = write.request.payload
    if payload is None:
        return []
    try:
        if payload.is_object:
            return [msgspec.json.decode(payload.body, type=dict[str, msgspec.Raw])]
        return msgspec.json.decode(payload.body, type=list[dict[str, msgspec.Raw]])
    except RecursionError:
        raise too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


async def _find_existing(write: ApiWrite, rows: Sequence[JsonRow]) -> list[VersionedRow]:
    """The rows that the body's conflict columns name. Reading them proves the table; else that is done first."""
    columns = conflict_columns(write)
    keys = [key for row in rows if (key := _read_key(row, columns)) is not None] if is_merge(write) else []
    if not keys:
        await write.api.prove_table(write.table)
        return []
    return await write.api.fetch_by(write.table, columns, keys)


def _read_key(row: JsonRow, columns: Sequence[str]) -> Identity | None:
    """None where a value is missing or null: it conflicts with no row, or with one that is not known."""
    values = [_read_value(row.get(column)) for column in columns]
    return None if None in values else tuple(value or "" for value in values)


def _read_value(token: msgspec.Raw | None) -> str | None:
    value = b"null" if token is None else bytes(token)
    if value == b"null":
        return None
    return msgspec.json.decode(value, type=str) if value[:1] == b'"' else value.decode()
