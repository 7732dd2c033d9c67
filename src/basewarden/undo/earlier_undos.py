"""Finds the rows that earlier undos of a session have reverted, by their changes in the journal.

Whatever changed such a row since was not the session: another undo must not touch it.
"""

import asyncio
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal import JournalMutation, JournalSession, JournalWrite
from basewarden.undo import queries
from basewarden.undo.planning.fold import Folded, RecordedWrite
from basewarden.undo.planning.selection import ChangeIdentity, EarlierUndo, drop_reverted, identify
from basewarden.undo.planning.unrestored_columns import RowsLeft, list_rows_left
from basewarden.undo.recorded_writes import read_writes
from basewarden.undo.stored_receipt import decode_receipt

_INVERSE = {"insert": "delete", "delete": "insert", "update": "update"}
_Change = tuple[str, str, str, str, str | None]
"""Verb, schema, table, and the row's key before and after."""


async def find_undone_earlier(session: AsyncSession, undos: Sequence[JournalSession], folded: Folded) -> frozenset[int]:
    """The numbers of changes that one of `undos` reverted, each of which undid all writes."""
    reverted = set().union(*(await _map_reverted(session, undos)).values())
    if not reverted:
        return frozenset()
    return await asyncio.to_thread(_find_among, reverted, folded)


async def leave_out_reverted(
    session: AsyncSession, undos: Sequence[JournalSession], writes: Sequence[RecordedWrite], *, budget: int
) -> Sequence[RecordedWrite]:
    """The writes without the changes that `undos` reverted, in the order of those."""
    reverted = await _map_reverted(session, undos)
    earlier = []
    for undo in undos:
        receipt = decode_receipt(undo.receipt)
        may_have_rest = receipt.irreversible and undo.capture == "statement"  # an API cannot restore such columns
        left = await read_rows_left(session, undo, budget=budget) if may_have_rest else {}
        earlier.append(EarlierUndo(receipt.writes, reverted[undo.id], left))
    return await asyncio.to_thread(drop_reverted, writes, earlier) if earlier else writes


async def read_rows_left(session: AsyncSession, undo: JournalSession, *, budget: int) -> RowsLeft:
    """The rows as an undo left them, which may have columns that triggers set again; none if it was partly undone."""
    if undo.status == "partly_undone":
        return {}
    writes = await read_writes(session, undo.id, undo.position, budget=budget)
    return list_rows_left(change for write in writes if write.state == "committed" for change in write.changes)


async def list_effective_undos(session: AsyncSession, undone: JournalSession) -> list[JournalSession]:
    """The undos of a session that were not completely undone themselves, in their order.

    An undo is left out where the session got more writes after it, since it does not cover those.
    """
    undos = await queries.list_undos_in_effect(session, undone.id)
    return [undo for undo in undos if decode_receipt(undo.receipt).position == undone.position]


def _find_among(reverted: Collection[ChangeIdentity], folded: Folded) -> frozenset[int]:
    return frozenset(number for number, change in enumerate(folded.changes) if identify(change) in reverted)


async def _map_reverted(session: AsyncSession, undos: Sequence[JournalSession]) -> dict[UUID, set[ChangeIdentity]]:
    """What each undo reverted; of one that was partly undone, only the remaining changes count."""
    redone: dict[UUID, set[ChangeIdentity]] = {}
    for undo in undos:
        if undo.status == "partly_undone":
            redos = await list_effective_undos(session, undo)
            redone[undo.id] = set().union(*(await _map_reverted(session, redos)).values())
    reverted: dict[UUID, set[ChangeIdentity]] = {undo.id: set() for undo in undos}
    for undo_id, change in await _list_changes(session, list(reverted)):
        if _as_left(change) not in redone.get(undo_id, ()):
            reverted[undo_id].add(_invert(change))
    return reverted


async def _list_changes(session: AsyncSession, undo_ids: Collection[UUID]) -> list[tuple[UUID, _Change]]:
    """The committed changes of all these undos, in one query."""
    if not undo_ids:
        return []
    mutation = JournalMutation
    columns = (mutation.verb, mutation.schema, mutation.table, mutation.row_key, mutation.new_row_key)
    found = await session.execute(
        select(mutation.session_id, *columns)
        .join(JournalWrite, JournalWrite.id == mutation.write_id)
        .where(mutation.session_id.in_(undo_ids), JournalWrite.state == "committed")
    )
    return [(undo_id, (verb, schema, table, key, new_key)) for undo_id, verb, schema, table, key, new_key in found]


def _as_left(change: _Change) -> ChangeIdentity:
    verb, schema, table, key, new_key = change
    return (verb, schema, table, new_key or key)


def _invert(change: _Change) -> ChangeIdentity:
    """The session's change that this one reverted: an undo finds a row at the key where the session left it."""
    verb, schema, table, key, _ = change
    return (_INVERSE[verb], schema, table, key)
