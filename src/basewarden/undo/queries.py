"""The SQL of undo on the journal."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import WriteSession
from basewarden.journal import JournalMutation, JournalSession, JournalWrite


def name_lock(session_id: UUID) -> str:
    """The name of the lock for undoing or pruning a session."""
    return f"undo:{session_id}"


async def list_running_undos(session: AsyncSession, session_id: UUID) -> list[tuple[UUID, UUID]]:
    """The undos that run, or whose process died, and the sessions that they undo; an undo of an undo comes first.

    They are those of this session, of its undos, of the session that it undid itself, and so on.
    """
    query = text(
        """
        WITH RECURSIVE chain(id, undo_of) AS (
            SELECT id, undo_of FROM journal_sessions WHERE id = :id
            UNION ALL SELECT s.id, s.undo_of FROM journal_sessions s JOIN chain ON s.id = chain.undo_of),
        tree(id, undo_of, undo_state, depth) AS (
            SELECT s.id, s.undo_of, s.undo_state, 0 FROM journal_sessions s JOIN chain ON chain.id = s.id
            WHERE chain.undo_of IS NULL
            UNION ALL SELECT s.id, s.undo_of, s.undo_state, depth + 1
            FROM journal_sessions s JOIN tree ON s.undo_of = tree.id)
        SELECT id, undo_of FROM tree WHERE undo_state = 'running' ORDER BY depth DESC, id
        """
    )
    return [(row.id, row.undo_of) for row in await session.execute(query, {"id": session_id})]


async def is_running(session: AsyncSession, undo_id: UUID) -> bool:
    query = select(JournalSession.id).where(JournalSession.id == undo_id, JournalSession.undo_state == "running")
    return await session.scalar(query) is not None


async def find_session(session: AsyncSession, connection_id: UUID, session_id: UUID) -> JournalSession | None:
    """None also for a session that is being pruned, since only a part of it may remain."""
    return await session.scalar(
        select(JournalSession).where(
            JournalSession.id == session_id,
            JournalSession.connection_id == connection_id,
            JournalSession.status != "expired",
        )
    )


async def lock_chain(session: AsyncSession, session_id: UUID) -> list[JournalSession]:
    """A session, the session that it undid if it is an undo, the one that this undid, and so on.

    They are locked in the order of their ids, as the recorder does.
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
    """The states of an undo's writes: one write, or many for an incremental undo."""
    return set(await session.scalars(select(JournalWrite.state).where(JournalWrite.session_id == session_id)))


async def count_written_rows(session: AsyncSession, session_id: UUID) -> int:
    """How many different rows the session's own writes changed, without cascades."""
    query = text(
        """
        SELECT count(DISTINCT (m.schema_name, m.table_name, m.row_key))
        FROM journal_mutations AS m JOIN journal_writes AS w ON w.id = m.write_id
        WHERE m.session_id = :id AND w.state = 'committed' AND m.cause = 'request'
        """
    )
    return int(await session.scalar(query, {"id": session_id}) or 0)


_LIST_WRITTEN = text("""
    SELECT DISTINCT ON (m.row_key) m.row_key, m.position,
           coalesce(octet_length(m.before_exact::text), 0) + coalesce(octet_length(m.after_exact::text), 0) AS size
    FROM journal_mutations AS m JOIN journal_writes AS w ON w.id = m.write_id
    WHERE m.session_id = :id AND w.state = 'committed' AND m.cause = 'request'
      AND m.schema_name = :schema AND m.table_name = :table AND m.row_key = ANY(:row_keys)
    ORDER BY m.row_key, m.position
""")


async def list_written_rows(
    session: AsyncSession, session_id: UUID, table: tuple[str, str], row_keys: Collection[str]
) -> list[tuple[str, int, int]]:
    """Of these rows, those that the session's own writes changed: key, position of the first change, its size."""
    values = {"id": session_id, "schema": table[0], "table": table[1], "row_keys": list(row_keys)}
    return [(row.row_key, row.position, row.size) for row in await session.execute(_LIST_WRITTEN, values)]


_READ_IMAGES = text("""
    SELECT row_key, before_exact::text AS before, after_exact::text AS after FROM journal_mutations
    WHERE session_id = :id AND position = ANY(:positions) ORDER BY position
""")


async def read_images(
    session: AsyncSession, session_id: UUID, positions: Collection[int]
) -> list[tuple[str, str | None, str | None]]:
    """The keys of rows, and their whole images before and after these changes, as JSON of PostgreSQL's text."""
    rows = await session.execute(_READ_IMAGES, {"id": session_id, "positions": list(positions)})
    return [(row.row_key, row.before, row.after) for row in rows]


async def list_undos_in_effect(session: AsyncSession, session_id: UUID) -> Sequence[JournalSession]:
    """The undos of a session that are done and were not completely undone themselves, in their order."""
    query = select(JournalSession).where(
        JournalSession.undo_of == session_id, JournalSession.undo_state == "done", JournalSession.status != "undone"
    )
    return (await session.scalars(query.order_by(JournalSession.id))).all()


async def map_undos_in_effect(session: AsyncSession, session_id: UUID) -> Mapping[UUID, frozenset[UUID]]:
    """For each undo in effect of a session, it and the undos in effect of itself, of those, and so on: what it does."""
    query = text(
        """
        WITH RECURSIVE tree(id, root) AS (
            SELECT id, id FROM journal_sessions
            WHERE undo_of = :id AND undo_state = 'done' AND status <> 'undone'
            UNION ALL SELECT s.id, tree.root FROM journal_sessions AS s JOIN tree ON s.undo_of = tree.id
            WHERE s.undo_state = 'done' AND s.status <> 'undone')
        SELECT root, array_agg(id) AS ids FROM tree GROUP BY root
        """
    )
    return {row.root: frozenset(row.ids) for row in await session.execute(query, {"id": session_id})}


async def is_write_undone(session: AsyncSession, session_id: UUID, write_id: UUID) -> bool:
    """Whether an undo of this write, or of its whole session, was done and was not undone itself."""
    undo = JournalSession
    is_of_write = func.jsonb_exists(undo.receipt["writes"], str(write_id))
    query = select(undo.id).where(
        undo.undo_of == session_id,
        undo.undo_state == "done",
        undo.status != "undone",
        or_(undo.receipt["writes"].is_(None), is_of_write),
    )
    return await session.scalar(query.limit(1)) is not None


_LIST_DELETED_LATER = text("""
    SELECT DISTINCT own.schema_name, own.table_name, own.key
    FROM (SELECT schema_name, table_name, coalesce(new_row_key, row_key) AS key FROM journal_mutations
          WHERE session_id = :id AND verb = 'insert') AS own
    CROSS JOIN LATERAL (
        SELECT m.verb, m.session_id FROM journal_mutations AS m JOIN journal_writes AS w ON w.id = m.write_id
        WHERE m.connection_id = :connection AND m.at >= :since AND m.schema_name = own.schema_name
            AND m.table_name = own.table_name AND md5(m.row_key) = md5(own.key) AND m.row_key = own.key
            AND w.state = 'committed'
        ORDER BY m.id DESC LIMIT 1) AS last
    WHERE last.verb = 'delete' AND last.session_id <> :id
""")


async def list_deleted_later(session: AsyncSession, undone: JournalSession) -> frozenset[tuple[str, str, str]]:
    """Schema, table and key of the rows that this session inserted and that another one's write deleted since."""
    values = {"id": undone.id, "connection": undone.connection_id, "since": undone.started_at}
    rows = await session.execute(_LIST_DELETED_LATER, values)
    return frozenset((row.schema_name, row.table_name, row.key) for row in rows)


async def find_undo(session: AsyncSession, connection_id: UUID, undo_id: UUID) -> JournalSession | None:
    found = await find_session(session, connection_id, undo_id)
    return found if found is not None and found.kind == "undo" else None


async def find_effective_undo(session: AsyncSession, session_id: UUID) -> JournalSession | None:
    """The newest undo of the session that is done and was not undone itself."""
    query = select(JournalSession).where(
        JournalSession.undo_of == session_id, JournalSession.undo_state == "done", JournalSession.status != "undone"
    )
    return await session.scalar(query.order_by(JournalSession.id.desc()).limit(1))


async def count_undo_depth(session: AsyncSession, undo_id: UUID) -> int:
    """1 for an undo, 2 for the undo of an undo, which is a redo, and so on."""
    query = text(
        """
        WITH RECURSIVE chain(undo_of, depth) AS (
            SELECT undo_of, 1 FROM journal_sessions WHERE id = :id AND undo_of IS NOT NULL
            UNION ALL SELECT s.undo_of, depth + 1 FROM journal_sessions AS s JOIN chain ON s.id = chain.undo_of
            WHERE s.undo_of IS NOT NULL)
        SELECT max(depth) FROM chain
        """
    )
    return int(await session.scalar(query, {"id": undo_id}) or 0)


_COUNT_NEWER = """
    SELECT last.session_id, count(*) AS rows
    FROM unnest(CAST(:schemas AS text[]), CAST(:tables AS text[]), CAST(:keys AS text[])) AS k(schema, "table", key)
    CROSS JOIN LATERAL (
        SELECT m.session_id FROM journal_mutations AS m JOIN journal_writes AS w ON w.id = m.write_id
        WHERE m.connection_id = :connection AND m.schema_name = k.schema AND m.table_name = k."table"
            AND md5(m.row_key) = md5(k.key) AND m.row_key = k.key AND w.state = 'committed'
        ORDER BY m.id DESC LIMIT 1) AS last
    JOIN journal_sessions AS s ON s.id = last.session_id
    WHERE s.id <> :session AND s.kind <> 'undo' AND s.status IN ('open', 'partly_undone')
    GROUP BY last.session_id ORDER BY count(*) DESC, last.session_id LIMIT :limit
"""


async def count_newer_edits(
    session: AsyncSession, connection_id: UUID, session_id: UUID, rows: Sequence[tuple[str, str, str]], *, limit: int
) -> list[tuple[UUID, int]]:
    """The sessions that wrote these rows (schema, table, encoded key) last, with how many, the most first.

    Sessions that are undone already are left out, and so are undos.
    """
    schemas, tables, keys = zip(*rows, strict=True) if rows else ((), (), ())
    found = await session.execute(
        text(_COUNT_NEWER),
        {
            "connection": connection_id,
            "session": session_id,
            "schemas": list(schemas),
            "tables": list(tables),
            "keys": list(keys),
            "limit": limit,
        },
    )
    return [(row.session_id, row.rows) for row in found]


async def find_undone_origin(session: AsyncSession, undo_id: UUID) -> UUID:
    """Of an undo, or of a redo, the session whose rows it writes."""
    query = text(
        """
        WITH RECURSIVE chain(id, undo_of) AS (
            SELECT id, undo_of FROM journal_sessions WHERE id = :id
            UNION ALL SELECT s.id, s.undo_of FROM journal_sessions AS s JOIN chain ON s.id = chain.undo_of)
        SELECT id FROM chain WHERE undo_of IS NULL
        """
    )
    found: UUID | None = await session.scalar(query, {"id": undo_id})
    return found or undo_id


async def list_sessions_of_writes(
    session: AsyncSession, connection_id: UUID, write_ids: Collection[UUID]
) -> dict[UUID, UUID]:
    """The session of each write, for those of the connection."""
    found = await session.execute(
        select(JournalWrite.id, JournalWrite.session_id).where(
            JournalWrite.id.in_(write_ids), JournalWrite.connection_id == connection_id
        )
    )
    return {row.id: row.session_id for row in found}


async def list_row_places(
    session: AsyncSession, write_id: UUID, positions: Collection[int]
) -> set[tuple[str, str, str, str]]:
    """Verb, schema, table and key of the rows that a write changed at these positions, after the write."""
    found = await session.execute(
        select(
            JournalMutation.verb,
            JournalMutation.schema,
            JournalMutation.table,
            func.coalesce(JournalMutation.new_row_key, JournalMutation.row_key),
        ).where(JournalMutation.write_id == write_id, JournalMutation.position.in_(positions))
    )
    return {(verb, schema, table, key) for verb, schema, table, key in found}


async def list_row_changes(
    session: AsyncSession, connection_id: UUID, mutation_ids: Collection[int]
) -> list[tuple[UUID, UUID, int]]:
    """Session, write and position of row changes of the connection."""
    found = await session.execute(
        select(JournalMutation.session_id, JournalMutation.write_id, JournalMutation.position).where(
            JournalMutation.id.in_(mutation_ids), JournalMutation.connection_id == connection_id
        )
    )
    return [(session_id, write_id, position) for session_id, write_id, position in found]


async def list_writes(session: AsyncSession, session_id: UUID, write_ids: Collection[UUID]) -> list[JournalWrite]:
    query = select(JournalWrite).where(JournalWrite.id.in_(write_ids), JournalWrite.session_id == session_id)
    return list(await session.scalars(query.order_by(JournalWrite.id)))


async def count_pending_writes(session: AsyncSession, session_id: UUID) -> int:
    query = select(func.count()).where(JournalWrite.session_id == session_id, JournalWrite.state == "pending")
    return await session.scalar(query) or 0


async def hold_session(session: WriteSession, session_id: UUID) -> bool:
    """Returns whether the session was open. After the commit, new writes of its caller go to another session.

    The caller has the lock of the undo, so a session that is held already was left so by a process that died.
    """
    query = update(JournalSession).where(JournalSession.id == session_id, JournalSession.status.in_(("open", "held")))
    held = await session.execute(query.values(status="held").returning(JournalSession.id))
    return held.first() is not None


async def release_session(session: WriteSession, session_id: UUID) -> None:
    """Opens the session again, unless the undo gave it another status."""
    query = update(JournalSession).where(JournalSession.id == session_id, JournalSession.status == "held")
    await session.execute(query.values(status="open"))
