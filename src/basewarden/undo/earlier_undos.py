"""Finds the rows that earlier undos of a session have reverted, by their changes in the journal.

Whatever changed such a row since was not the session: another undo must not touch it.
"""

import asyncio
from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal import JournalMutation, JournalSession, JournalWrite, encode_key
from basewarden.undo.planning.fold import Folded, NetChange
from basewarden.undo.stored_receipt import decode_receipt

ChangeIdentity = tuple[str, str, str, str]
"""Verb, schema, table, and the key of the row after the change (before it, for a delete)."""
_INVERSE = {"insert": "delete", "delete": "insert", "update": "update"}


async def find_undone_earlier(session: AsyncSession, undone: JournalSession, folded: Folded) -> frozenset[int]:
    """The numbers of changes that are reverted."""
    deeds = await _list_undone(session, undone)
    if not deeds:
        return frozenset()
    return await asyncio.to_thread(_find_among, deeds, folded)


def _find_among(deeds: Collection[ChangeIdentity], folded: Folded) -> frozenset[int]:
    return frozenset(number for number, change in enumerate(folded.changes) if _describe(change) in deeds)


def _describe(change: NetChange) -> ChangeIdentity:
    key = change.key_before if change.after is None else change.key_after
    return (change.verb, change.schema, change.table, encode_key(key or ()))


async def list_effective_undos(session: AsyncSession, undone: JournalSession) -> list[JournalSession]:
    """The undos of a session that were not completely undone themselves, in their order.

    An undo is left out where the session got more writes after it, since it does not cover those.
    """
    query = select(JournalSession).where(JournalSession.undo_of == undone.id, JournalSession.undo_state == "done")
    undos = await session.scalars(query.order_by(JournalSession.id))
    position = undone.position
    return [undo for undo in undos if undo.status != "undone" and decode_receipt(undo.receipt).position == position]


async def _list_undone(session: AsyncSession, undone: JournalSession) -> set[ChangeIdentity]:
    """Of an undo that was partly undone, only the remaining changes count."""
    undone_earlier: set[ChangeIdentity] = set()
    for undo in await list_effective_undos(session, undone):
        redone = await _list_undone(session, undo) if undo.status == "partly_undone" else set()
        undone_earlier |= {
            _invert(change) for change in await _list_changes(session, undo.id) if _as_left(change) not in redone
        }
    return undone_earlier


async def _list_changes(session: AsyncSession, undo_id: UUID) -> Iterable[tuple[str, str, str, str, str | None]]:
    mutation = JournalMutation
    found = await session.execute(
        select(mutation.verb, mutation.schema, mutation.table, mutation.row_key, mutation.new_row_key)
        .join(JournalWrite, JournalWrite.id == mutation.write_id)
        .where(mutation.session_id == undo_id, JournalWrite.state == "committed")
    )
    return [(verb, schema, table, key, new_key) for verb, schema, table, key, new_key in found]


def _as_left(change: tuple[str, str, str, str, str | None]) -> ChangeIdentity:
    verb, schema, table, key, new_key = change
    return (verb, schema, table, new_key or key)


def _invert(change: tuple[str, str, str, str, str | None]) -> ChangeIdentity:
    """The session's change that this one reverted: an undo finds a row at the key where the session left it."""
    verb, schema, table, key, _ = change
    return (_INVERSE[verb], schema, table, key)
