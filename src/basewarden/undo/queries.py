"""What an undo asks of the journal, and what it writes there."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Text, cast, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal import Image, JournalMutation, JournalSession, JournalWrite, RowChange
from basewarden.undo.fold import RecordedWrite

_exact = msgspec.json.Decoder(dict[str, str | None])


async def try_lock_undo(session: AsyncSession, session_id: UUID) -> bool:
    """Held until this unit of work ends, or its process dies: only one at a time undoes a session, or prunes it."""
    key = {"key": f"undo:{session_id}"}
    return bool(await session.scalar(text("SELECT pg_try_advisory_xact_lock(hashtextextended(:key, 0))"), key))


async def find_running_undo(session: AsyncSession, session_id: UUID) -> JournalSession | None:
    return await session.scalar(
        select(JournalSession).where(JournalSession.undo_of == session_id, JournalSession.undo_state == "running")
    )


async def find_session(session: AsyncSession, connection_id: UUID, session_id: UUID) -> JournalSession | None:
    """None also for one that is being pruned: a part of it must not be taken for the whole."""
    return await session.scalar(
        select(JournalSession).where(
            JournalSession.id == session_id,
            JournalSession.connection_id == connection_id,
            JournalSession.status != "expired",
        )
    )


async def lock_chain(session: AsyncSession, session_id: UUID) -> list[JournalSession]:
    """A session, the one that it undid if it is an undo, the one that that undid, and so on.

    Locked in the order of their ids, as the recorder does.
    """
    chain = text(
        """
        WITH RECURSIVE chain(id, undo_of) AS (
            SELECT id, undo_of FROM journal_sessions WHERE id = :id
            UNION ALL SELECT s.id, s.undo_of FROM journal_sessions s JOIN chain ON s.id = chain.undo_of)
        SELECT id FROM chain
        """
    )
    ids = list(await session.scalars(chain, {"id": session_id}))
    query = select(JournalSession).where(JournalSession.id.in_(ids)).order_by(JournalSession.id).with_for_update()
    found = {item.id: item for item in await session.scalars(query)}
    return [found[known] for known in ids if known in found]


async def list_write_states(session: AsyncSession, session_id: UUID) -> set[str]:
    """Of the one write that an undo makes, or of its many where there is no transaction over all."""
    return set(await session.scalars(select(JournalWrite.state).where(JournalWrite.session_id == session_id)))


async def count_written_rows(session: AsyncSession, session_id: UUID) -> int:
    """Different rows that the session's own writes changed, not counting what they carried along."""
    query = text(
        """
        SELECT count(DISTINCT (m.schema_name, m.table_name, m.row_key))
        FROM journal_mutations AS m JOIN journal_writes AS w ON w.id = m.write_id
        WHERE m.session_id = :id AND w.state = 'committed' AND m.cause = 'request'
        """
    )
    return int(await session.scalar(query, {"id": session_id}) or 0)


async def has_pending_writes(session: AsyncSession, session_id: UUID) -> bool:
    query = select(JournalWrite.id).where(JournalWrite.session_id == session_id, JournalWrite.state == "pending")
    return await session.scalar(query.limit(1)) is not None


async def list_recorded_writes(session: AsyncSession, session_id: UUID, up_to: int) -> list[RecordedWrite]:
    """Everything that happened, or may have happened, in the order of the mutations."""
    writes = await session.scalars(
        select(JournalWrite)
        .where(JournalWrite.session_id == session_id, JournalWrite.state.in_(("committed", "unknown")))
        .order_by(JournalWrite.id)
    )
    changes = await _list_changes(session, session_id, up_to)
    order = {write_id: place for place, write_id in enumerate(changes)}
    recorded = [(write, changes.get(write.id, ())) for write in writes]
    recorded.sort(key=lambda pair: order.get(pair[0].id, len(order)))
    return [
        RecordedWrite(write.state, write.verb, write.schema, write.table, tuple(made), tuple(write.unseen or ()))
        for write, made in recorded
    ]


async def _list_changes(session: AsyncSession, session_id: UUID, up_to: int) -> dict[UUID, list[RowChange]]:
    """By write, in the order of their positions. Images stay text: a JSON number must not become a float."""
    mutation = JournalMutation
    rows = await session.execute(
        select(
            mutation.write_id,
            mutation.schema,
            mutation.table,
            mutation.verb,
            mutation.key_columns,
            mutation.cause,
            mutation.set_columns,
            cast(mutation.before, Text).label("before"),
            cast(mutation.after, Text).label("after"),
            cast(mutation.before_exact, Text).label("before_exact"),
            cast(mutation.after_exact, Text).label("after_exact"),
        )
        .where(mutation.session_id == session_id, mutation.position <= up_to)
        .order_by(mutation.position)
    )
    changes: dict[UUID, list[RowChange]] = {}
    for row in rows:
        changes.setdefault(row.write_id, []).append(_read_change(row))
    return changes


def _read_change(row: Any) -> RowChange:
    return RowChange(
        row.schema,
        row.table,
        row.verb,
        tuple(row.key_columns),
        _read_image(row.before, row.before_exact),
        _read_image(row.after, row.after_exact),
        row.cause,
        None if row.set_columns is None else tuple(row.set_columns),
    )


def _read_image(shown: str | None, exact: str | None) -> Image | None:
    if shown is None or exact is None or exact == "null":
        return None
    return Image(_exact.decode(exact), shown.encode())
