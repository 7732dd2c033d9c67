"""All SQL of pruning the journal. A session expires only while locks keep writers and undos away from it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import WriteSession

FIRST_ID = UUID(int=0)
_DROP_MARK = "past its time: Basewarden is dropping it"

# A session with its undos, their undos and so on: they expire together.
_CHAIN = """
    WITH RECURSIVE chain(root, id) AS (
        SELECT id, id FROM journal_sessions WHERE id = ANY(:roots)
        UNION ALL SELECT chain.root, s.id FROM journal_sessions AS s JOIN chain ON s.undo_of = chain.id)
"""
_LIST_IDLE = """
    SELECT id FROM journal_sessions
    WHERE id > :after AND undo_of IS NULL AND status <> 'expired' AND last_seen_at < now() - CAST(:keep AS interval)
    ORDER BY id LIMIT :limit
"""
_LIST_CHAINS = f"{_CHAIN} SELECT id FROM chain"
_LOCK = "SELECT id FROM journal_sessions WHERE id = ANY(:ids) ORDER BY id FOR UPDATE SKIP LOCKED"
# The same lock as in `undo.queries.name_lock`: a session that is being undone is left out.
_LOCK_UNDO = """
    SELECT id FROM unnest(CAST(:ids AS uuid[])) AS given(id)
    WHERE pg_try_advisory_xact_lock(hashtextextended('undo:' || id, 0))
"""
# Any status that is not listed here keeps the session.
_EXPIRE = f"""
    {_CHAIN},
    held AS (
        SELECT chain.root FROM chain JOIN journal_sessions AS s ON s.id = chain.id
        WHERE s.id <> ALL(:locked)
           OR s.last_seen_at >= now() - CAST(:keep AS interval)
           OR s.status NOT IN ('open', 'undone', 'partly_undone')
           OR s.undo_state = 'running'
           OR EXISTS (SELECT FROM journal_writes AS w
                      WHERE w.session_id = s.id AND w.state NOT IN ('committed', 'aborted')))
    UPDATE journal_sessions SET status = 'expired' FROM chain
    WHERE journal_sessions.id = chain.id AND chain.root NOT IN (SELECT root FROM held)
"""


async def list_idle_sessions(session: AsyncSession, keep: timedelta, *, after: UUID, limit: int) -> list[UUID]:
    """Lists one page of sessions that are not undos and were last used before `keep` ago, ordered by id."""
    return list(await session.scalars(text(_LIST_IDLE), {"after": after, "keep": keep, "limit": limit}))


async def expire_sessions(session: WriteSession, roots: Sequence[UUID], keep: timedelta) -> int:
    """Expires the sessions that nothing protects, with their undos: from the commit on, queries leave them out.

    A session that is locked by a writer or an undo is skipped, so this never waits.
    """
    chains = list(await session.scalars(text(_LIST_CHAINS), {"roots": list(roots)}))
    rows_held = set(await session.scalars(text(_LOCK), {"ids": chains}))
    undos_held = set(await session.scalars(text(_LOCK_UNDO), {"ids": chains}))
    arguments = {"roots": list(roots), "locked": list(rows_held & undos_held), "keep": keep}
    return _count(await session.execute(text(_EXPIRE), arguments))


async def list_expired_sessions(session: AsyncSession, *, after: UUID, limit: int) -> list[UUID]:
    """Lists one page ordered by id."""
    query = "SELECT id FROM journal_sessions WHERE status = 'expired' AND id > :after ORDER BY id LIMIT :limit"
    return list(await session.scalars(text(query), {"after": after, "limit": limit}))


async def delete_mutations(session: WriteSession, expired: Sequence[UUID], limit: int) -> int:
    query = text(
        """
        WITH chosen AS (
            SELECT m.id, m.at FROM journal_mutations AS m WHERE m.session_id = ANY(:expired)
            LIMIT :limit FOR UPDATE SKIP LOCKED)
        DELETE FROM journal_mutations AS m USING chosen WHERE m.id = chosen.id AND m.at = chosen.at
        """
    )
    return _count(await session.execute(query, {"expired": list(expired), "limit": limit}))


async def delete_writes(session: WriteSession, expired: Sequence[UUID], limit: int) -> int:
    """Deletes writes without mutations only: the foreign key would delete any number of those at once."""
    query = text(
        """
        WITH chosen AS (
            SELECT w.id FROM journal_writes AS w WHERE w.session_id = ANY(:expired)
              AND NOT EXISTS (SELECT FROM journal_mutations AS m WHERE m.write_id = w.id)
            LIMIT :limit FOR UPDATE SKIP LOCKED)
        DELETE FROM journal_writes AS w USING chosen WHERE w.id = chosen.id
        """
    )
    return _count(await session.execute(query, {"expired": list(expired), "limit": limit}))


async def delete_sessions(session: WriteSession, keep: timedelta, limit: int) -> int:  # noqa: ARG001 - expired already
    """Deletes undos before the sessions that they undid, for the same reason."""
    query = text(
        """
        WITH chosen AS (
            SELECT s.id FROM journal_sessions AS s
            WHERE s.status = 'expired'
              AND NOT EXISTS (SELECT FROM journal_writes AS w WHERE w.session_id = s.id)
              AND NOT EXISTS (SELECT FROM journal_sessions AS undo WHERE undo.undo_of = s.id)
            LIMIT :limit FOR UPDATE SKIP LOCKED)
        DELETE FROM journal_sessions AS s USING chosen WHERE s.id = chosen.id
        """
    )
    return _count(await session.execute(query, {"limit": limit}))


def _count(result: object) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount


async def set_lock_timeout(connection: psycopg.AsyncConnection, most: str) -> None:
    await connection.execute("SELECT set_config('lock_timeout', %s, false)", (most,))


async def list_past_months(connection: psycopg.AsyncConnection, keep: timedelta) -> list[str]:
    """Lists months that end before the window: first one whose detaching was interrupted, then by age."""
    found = await connection.execute(
        """
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid,
            LATERAL regexp_match(pg_get_expr(c.relpartbound, c.oid), $$TO \\('([^']+)'\\)$$) AS bound
        WHERE i.inhparent = 'journal_mutations'::regclass
          AND bound[1]::timestamptz <= now() - %s
        ORDER BY i.inhdetachpending DESC, bound[1]::timestamptz
        """,
        (keep,),
    )
    return [name for (name,) in await found.fetchall()]


async def list_detached_months(connection: psycopg.AsyncConnection) -> list[str]:
    """Lists months that an interrupted run detached but did not drop. An operator's archive has no mark and is kept."""
    found = await connection.execute(
        """
        SELECT c.relname FROM pg_class AS c
        WHERE c.relname LIKE 'journal\\_mutations\\_%%' AND c.relkind = 'r' AND NOT c.relispartition
          AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'journal_mutations'::regclass)
          AND obj_description(c.oid, 'pg_class') = %s
        ORDER BY c.relname
        """,
        (_DROP_MARK,),
    )
    return [name for (name,) in await found.fetchall()]


async def is_needed(connection: psycopg.AsyncConnection, month: str) -> bool:
    """True when a session that has not expired has a mutation in this month. Once False, it stays False."""
    query = sql.SQL(
        """
        SELECT EXISTS (SELECT FROM journal_sessions AS s WHERE s.status <> 'expired'
                       AND EXISTS (SELECT FROM {} AS m WHERE m.session_id = s.id))
        """
    ).format(sql.Identifier(month))
    row = await (await connection.execute(query)).fetchone()
    return row is None or bool(row[0])


async def count_rows(connection: psycopg.AsyncConnection, month: str) -> int:
    row = await (await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(month)))).fetchone()
    return int(row[0]) if row else 0


async def mark_for_drop(connection: psycopg.AsyncConnection, month: str) -> None:
    """Marks the table, so that the next run drops it if this one is interrupted after the detaching."""
    statement = sql.SQL("COMMENT ON TABLE {} IS {}")
    await connection.execute(statement.format(sql.Identifier(month), sql.Literal(_DROP_MARK)))


async def detach_month(connection: psycopg.AsyncConnection, month: str) -> None:
    """Detaches concurrently: this waits for old readers without blocking readers and writers of other months.

    Continues an interrupted detaching.
    """
    begun = "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = %s::regclass"
    row = await (await connection.execute(begun, (month,))).fetchone()
    if row is None:
        return
    how = sql.SQL("FINALIZE" if row[0] else "CONCURRENTLY")
    statement = sql.SQL("ALTER TABLE journal_mutations DETACH PARTITION {} {}")
    await connection.execute(statement.format(sql.Identifier(month), how))


async def truncate_month(connection: psycopg.AsyncConnection, month: str) -> None:
    """Empties a month first: dropping it also locks the table of writes, and must be quick."""
    await connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(month)))


async def drop_month(connection: psycopg.AsyncConnection, month: str) -> None:
    await connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(month)))
