"""The SQL of sessions in lists: what each did, counted by table and verb."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.core.brief import make_brief
from basewarden.journal.models import JournalRefusal, JournalSession
from basewarden.journal.sessions.states import AgentStop, UndoneRows
from basewarden.journal.sessions.stops.queries import find_agent_stops, has_status
from basewarden.journal.sessions.summary import SessionSummary
from basewarden.journal.sessions.titles import UndoOrigin, VerbCount, describe_session, merge_counts, show_name

WRITES_COUNTED = 2000
"""In a list, changes are counted in at most this many of a session's writes, the newest."""
ROWS_COUNTED_ONCE = 20_000
"""Of one list's sessions: each has its rows counted once, however often they were changed, while it fits in this."""
SESSIONS_SEARCHED = 1000
"""The number of sessions that one page of a list filtered by table looks at."""
IS_NOT_EXPIRED = JournalSession.status != "expired"
"""Expired sessions are pruned in steps, and no query may show a part of one."""
CALLERS_LISTED = 200
CALLER_KINDS = ("agent", "member", "undo")
SessionPosition = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """`caller_id` is an agent or a person, `table` is "schema.table"; `since` and `until` bound the last write."""

    status: str | None = None
    caller_id: UUID | None = None
    table: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(slots=True)
class _Counts:
    """A session's writes, and its changes by state; `distinct` are its committed rows, each counted once."""

    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    writes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    changes: dict[str, list[VerbCount]] = field(default_factory=lambda: defaultdict(list))
    tables: set[str] = field(default_factory=set)
    distinct: int | None = None

    def add(self, row: Row[Any]) -> None:
        self.writes[row.state] += row.writes
        self.rows[row.state] += row.mutations
        self.tables.update(row.tables or ())
        if row.changed:
            self.changes[row.state].append(VerbCount(row.verb, row.schema, row.table, row.changed, row.is_cascade))


# A write whose rows all have its own verb and table has no `change_counts`; nor has one of an earlier release.
_NEWEST_WRITES = """
    WITH w AS MATERIALIZED (
        SELECT w.* FROM unnest(CAST(:ids AS uuid[])) AS s(id) CROSS JOIN LATERAL (
            SELECT * FROM journal_writes WHERE session_id = s.id AND state <> 'aborted'
            ORDER BY journal_writes.id DESC LIMIT :most) AS w)
"""
_ALL_WRITES = """
    WITH w AS NOT MATERIALIZED (SELECT * FROM journal_writes WHERE session_id = ANY(:ids) AND state <> 'aborted')
"""
_COUNT = """
    SELECT session_id, state, schema_name AS schema, table_name AS table, false AS is_cascade, tables,
        count(*) AS writes, sum(mutation_count)::bigint AS mutations,
        CASE WHEN verb = 'call' OR verb IN ('insert', 'update', 'delete') AND cardinality(tables) <= 1 THEN verb
             ELSE 'mixed' END AS verb,
        CASE WHEN verb = 'call' THEN count(*) WHEN (change_counts IS NOT NULL) THEN 0
             ELSE sum(mutation_count)::bigint END AS changed
    FROM w GROUP BY session_id, state, verb, schema_name, table_name, tables, change_counts IS NOT NULL
    UNION ALL
    SELECT w.session_id, w.state, c.schema, c.table, c.cascade, NULL, 0, 0, c.verb, sum(c.rows)::bigint
    FROM w, json_to_recordset(w.change_counts) AS c(verb text, schema text, "table" text, cascade bool, rows int8)
    WHERE w.change_counts IS NOT NULL GROUP BY w.session_id, w.state, c.verb, c.schema, c.table, c.cascade
"""
# A caller has few keys and may have many sessions: this reads the index once for each key.
_LIST_CALLERS = """
    WITH RECURSIVE keys(caller_key) AS (
        (SELECT caller_key FROM journal_sessions WHERE connection_id = :connection ORDER BY caller_key LIMIT 1)
        UNION ALL SELECT (
            SELECT s.caller_key FROM journal_sessions AS s
            WHERE s.connection_id = :connection AND s.caller_key > keys.caller_key ORDER BY s.caller_key LIMIT 1)
        FROM keys WHERE keys.caller_key IS NOT NULL)
    SELECT coalesce(s.agent_id, s.user_id) AS caller_id, s.caller_name
    FROM (SELECT caller_key FROM keys WHERE caller_key IS NOT NULL LIMIT :limit) AS k CROSS JOIN LATERAL (
        SELECT agent_id, user_id, caller_name FROM journal_sessions
        WHERE connection_id = :connection AND caller_key = k.caller_key ORDER BY last_seen_at DESC LIMIT 1) AS s
"""
_LIST_TABLES = """
    SELECT DISTINCT name FROM (
        SELECT w.tables FROM journal_writes AS w JOIN journal_sessions AS s ON s.id = w.session_id
        WHERE w.connection_id = :connection AND w.state <> 'aborted' AND s.status <> 'expired'
        ORDER BY w.id DESC LIMIT :most) AS w,
        unnest(w.tables) AS name
    ORDER BY name LIMIT 500
"""
_LIST_LAST_WRITES = """
    SELECT name, max(w.at) AS at FROM (
        SELECT w.tables, w.at FROM journal_writes AS w JOIN journal_sessions AS s ON s.id = w.session_id
        WHERE w.connection_id = :connection AND w.state = 'committed' AND s.status <> 'expired'
        ORDER BY w.id DESC LIMIT :most) AS w,
        unnest(w.tables) AS name
    GROUP BY name
"""
# A row that was changed twice is one row; its verbs are counted for themselves, and the last column says of which line.
_COUNT_DISTINCT = """
    SELECT m.session_id, m.verb, m.schema_name AS schema, m.table_name AS table, m.cause <> 'request' AS is_cascade,
        count(DISTINCT m.row_key) AS rows, grouping(m.verb) AS is_of_table
    FROM journal_mutations AS m JOIN journal_writes AS w ON w.id = m.write_id
    WHERE m.session_id = ANY(:ids) AND w.state = 'committed'
    GROUP BY GROUPING SETS (
        (m.session_id, m.schema_name, m.table_name, m.verb, m.cause <> 'request'),
        (m.session_id, m.schema_name, m.table_name))
"""
# Of a chain of undos, the session that is no undo, and how many undos follow it.
_FIND_ORIGINS = """
    WITH RECURSIVE chain(undo, id, depth) AS (
        SELECT id, undo_of, 1 FROM journal_sessions WHERE id = ANY(:ids) AND undo_of IS NOT NULL
        UNION ALL SELECT chain.undo, s.undo_of, chain.depth + 1
        FROM chain JOIN journal_sessions AS s ON s.id = chain.id WHERE s.undo_of IS NOT NULL AND chain.depth < 50)
    SELECT DISTINCT ON (chain.undo) chain.undo, chain.depth, s.id, s.label
    FROM chain JOIN journal_sessions AS s ON s.id = chain.id ORDER BY chain.undo, chain.depth DESC
"""
_FIND_BLOCKED = """
    SELECT DISTINCT ON (session_id) session_id, method, table_name
    FROM journal_refusals WHERE session_id = ANY(:ids) ORDER BY session_id, at DESC
"""
_FIND_UNDOS = """
    SELECT u.undo_of, u.id, u.caller_name, u.started_at, u.receipt->'writes' AS writes,
        (u.receipt->>'otherRows')::bigint AS others, u.receipt->'earlierUndos' AS earlier,
        coalesce((u.receipt->>'planned')::bigint, 0) AS planned,
        coalesce((u.receipt->>'skipped')::bigint, 0) AS skipped,
        CASE WHEN u.status = 'partly_undone' THEN (
            SELECT coalesce(sum((r.receipt->>'reverted')::bigint), 0)::bigint FROM journal_sessions AS r
            WHERE r.undo_of = u.id AND r.undo_state = 'done' AND r.status <> 'undone') ELSE 0 END AS redone
    FROM journal_sessions AS u JOIN journal_sessions AS s ON s.id = u.undo_of
    WHERE u.undo_of = ANY(:ids) AND u.undo_state = 'done' AND u.status <> 'undone'
        AND s.position = (u.receipt->>'position')::bigint
    ORDER BY u.id
"""
_TOUCHES_TABLE = """
    EXISTS (SELECT FROM (SELECT tables, state FROM journal_writes
        WHERE session_id = journal_sessions.id ORDER BY id DESC LIMIT :most) AS w
    WHERE :table = ANY(w.tables) AND w.state <> 'aborted')
"""


async def list_sessions(
    session: AsyncSession,
    connection_id: UUID,
    *,
    limit: int,
    before: SessionPosition | None = None,
    wanted: SessionFilter | None = None,
    is_exact: bool = False,
) -> list[SessionSummary]:
    """Lists sessions by their last write, the newest first; `before` is the position of the last one on a page.

    With a filter by table, at most SESSIONS_SEARCHED sessions are looked at. `is_exact` counts all writes.
    """
    query = _select_sessions(connection_id, before, wanted or SessionFilter())
    found = list(await session.scalars(query.limit(limit)))
    return await summarise_sessions(session, found, is_exact=is_exact)


async def find_search_end(
    session: AsyncSession, connection_id: UUID, before: SessionPosition | None, wanted: SessionFilter
) -> SessionPosition | None:
    """Finds where a search by table ended; None when no session was left out."""
    query = _select_sessions(connection_id, before, replace(wanted, table=None)).with_only_columns(
        JournalSession.last_seen_at, JournalSession.id
    )
    row = (await session.execute(query.offset(SESSIONS_SEARCHED - 1).limit(1))).one_or_none()
    return (row[0], row[1]) if row is not None else None


async def count_all_sessions(session: AsyncSession, connection_id: UUID, most: int) -> int:
    """Counts the sessions of a connection, at most `most`."""
    kept = select(JournalSession.id).where(JournalSession.connection_id == connection_id, IS_NOT_EXPIRED)
    return await session.scalar(select(func.count()).select_from(kept.limit(most).subquery())) or 0


async def list_callers(session: AsyncSession, connection_id: UUID) -> list[tuple[UUID, str]]:
    """Lists the ids and names of the agents and people who have sessions, by name."""
    rows = await session.execute(text(_LIST_CALLERS), {"connection": connection_id, "limit": CALLERS_LISTED})
    names = {row.caller_id: row.caller_name for row in rows if row.caller_id is not None}
    return sorted(names.items(), key=lambda item: item[1].casefold())


async def list_tables(session: AsyncSession, connection_id: UUID) -> list[str]:
    """Lists the tables of the connection's newest writes."""
    rows = await session.execute(text(_LIST_TABLES), {"connection": connection_id, "most": WRITES_COUNTED})
    return [name for (name,) in rows]


async def list_last_writes(session: AsyncSession, connection_id: UUID) -> dict[str, datetime]:
    """When each table was last written, as far as the connection's newest writes know; by `schema.table`."""
    rows = await session.execute(text(_LIST_LAST_WRITES), {"connection": connection_id, "most": WRITES_COUNTED})
    return {row.name: row.at for row in rows}


async def find_session(session: AsyncSession, connection_id: UUID, session_id: UUID) -> SessionSummary | None:
    found = await session.scalar(
        select(JournalSession).where(
            JournalSession.id == session_id, JournalSession.connection_id == connection_id, IS_NOT_EXPIRED
        )
    )
    return (await summarise_sessions(session, [found], is_exact=True))[0] if found is not None else None


async def summarise_sessions(
    session: AsyncSession, found: Sequence[JournalSession], *, is_exact: bool = False
) -> list[SessionSummary]:
    """Adds to sessions what they did."""
    if not found:
        return []
    ids = [one.id for one in found]
    origins = await _find_origins(session, [one.id for one in found if one.undo_of is not None])
    most = None if is_exact else WRITES_COUNTED
    counts = await _count_changes(session, [*ids, *(origin.id for origin in origins.values())], most)
    await _count_rows_once(session, counts)
    refused = await _count_refusals(session, ids)
    without_writes = [one.id for one in found if one.id not in counts and one.id in refused]
    blocked = await _find_blocked(session, without_writes)
    undos = await _find_undos(session, [one.id for one in found if one.status == "partly_undone"])
    stops = await find_agent_stops(session, found)
    return [
        _summarise(
            one,
            counts.get(one.id, _Counts()),
            refused=refused.get(one.id, 0),
            blocked=blocked.get(one.id),
            origin=_describe_origin(one, origins.get(one.id), counts),
            is_exact=is_exact,
            undos=undos.get(one.id, ()),
            stop=stops.get(one.agent_id) if one.agent_id is not None else None,
        )
        for one in found
    ]


def _summarise(
    found: JournalSession,
    counts: _Counts,
    *,
    refused: int,
    blocked: str | None,
    origin: UndoOrigin | None,
    is_exact: bool,
    undos: Sequence[Row[Any]],
    stop: AgentStop | None,
) -> SessionSummary:
    rows = counts.rows["committed"] if counts.distinct is None else counts.distinct
    return SessionSummary(
        session=found,
        mutation_count=counts.rows["committed"],
        pending_count=counts.rows["pending"],
        unknown_count=counts.rows["unknown"],
        tables=tuple(sorted(counts.tables)),
        pending_writes=counts.writes["pending"],
        unknown_writes=counts.writes["unknown"],
        writes=sum(counts.writes.values()),
        refused_count=refused,
        changes=(*counts.changes["committed"], *counts.changes["pending"]),
        unknown_changes=tuple(counts.changes["unknown"]),
        origin=origin,
        blocked=blocked,
        is_partial=not is_exact and sum(counts.writes.values()) >= WRITES_COUNTED,
        undone=count_undone(undos, rows) if undos else None,
        distinct_rows=counts.distinct,
        stop=stop,
    )


def count_undone(undos: Sequence[Row[Any]], rows: int) -> UndoneRows:
    """Adds up the undos of a session of so many row changes, the newest last.

    An undo of all writes covers those before it; what such an undo has left, later ones of single writes may undo.
    """
    newest = undos[-1]
    times = tuple((undo.started_at, _list_undone_writes(undo)) for undo in undos)
    single = [undo for undo in undos if undo.writes is not None]
    place = next((place for place in reversed(range(len(undos))) if undos[place].writes is None), None)
    undone = sum(map(_count_reverted, single))
    if place is None:
        left, kept = _count_left(undos, rows - undone), sum(undo.skipped for undo in single)
        writes = frozenset(UUID(one) for undo in single for one in undo.writes)
        return UndoneRows(undone, left, kept, newest.id, newest.caller_name, newest.started_at, writes, times)
    whole = undos[place]
    left = max(0, whole.skipped + whole.redone - sum(map(_count_reverted, undos[place + 1 :])))
    undone += _count_reverted(whole)
    kept, at = min(whole.skipped, left), newest.started_at
    return UndoneRows(undone, left, kept, newest.id, newest.caller_name, at, times=times)


def _list_undone_writes(undo: Row[Any]) -> frozenset[UUID] | None:
    return None if undo.writes is None else frozenset(UUID(one) for one in undo.writes)


def _count_reverted(undo: Row[Any]) -> int:
    return max(0, int(undo.planned - undo.skipped - undo.redone))


def _count_left(undos: Sequence[Row[Any]], changes: int) -> int:
    """Of undos of single writes. A row may have several changes: the newest undo knows how many rows there are.

    Unless others of the session's undos are in effect now than it counted on.
    """
    *earlier, newest = undos
    if newest.others is None or set(newest.earlier or ()) != {str(undo.id) for undo in earlier}:
        return max(0, changes)
    left = newest.others + newest.skipped + sum(undo.redone for undo in undos)
    return max(0, min(changes, int(left)))


def _describe_origin(undo: JournalSession, origin: Row[Any] | None, counts: dict[UUID, _Counts]) -> UndoOrigin | None:
    if undo.kind != "undo":
        return None
    if origin is None:
        return UndoOrigin("an earlier session", state=undo.undo_state or "done")
    counted = counts.get(origin.id, _Counts())
    title = describe_session(
        [*counted.changes["committed"], *counted.changes["pending"]],
        label=origin.label,
        unknown=counted.changes["unknown"],
        is_partial=sum(counted.writes.values()) >= WRITES_COUNTED,
    )
    return UndoOrigin(
        title,
        is_redo=origin.depth % 2 == 0,
        state=undo.undo_state or "done",
        name=show_name(origin.label or ""),
        rows=counts[undo.id].rows["committed"] if undo.id in counts else 0,
    )


def _select_sessions(
    connection_id: UUID, before: SessionPosition | None, wanted: SessionFilter
) -> Select[JournalSession]:
    order = (JournalSession.last_seen_at.desc(), JournalSession.id.desc())
    query = select(JournalSession).where(JournalSession.connection_id == connection_id, IS_NOT_EXPIRED)
    for condition in _list_conditions(before, wanted):
        query = query.where(condition)
    if wanted.table is None:
        return query.order_by(*order)
    searched = query.with_only_columns(JournalSession.id).order_by(*order).limit(SESSIONS_SEARCHED).subquery()
    touches = text(_TOUCHES_TABLE).bindparams(table=wanted.table, most=WRITES_COUNTED)
    return select(JournalSession).join(searched, searched.c.id == JournalSession.id).where(touches).order_by(*order)


def _list_conditions(before: SessionPosition | None, wanted: SessionFilter) -> Iterable[ColumnElement[bool]]:
    last = JournalSession.last_seen_at
    if before is not None:
        yield tuple_(last, JournalSession.id) < before
    if wanted.status is not None:
        yield has_status(wanted.status)
    if wanted.caller_id is not None:
        yield JournalSession.caller_key.in_(_list_caller_keys(wanted.caller_id))
    if wanted.since is not None:
        yield last >= wanted.since
    if wanted.until is not None:
        yield last < wanted.until


def _list_caller_keys(caller_id: UUID) -> list[str]:
    return [f"{kind}:{caller_id}{suffix}" for kind in CALLER_KINDS for suffix in ("", ":representation")]


async def _count_changes(session: AsyncSession, session_ids: Sequence[UUID], most: int | None) -> dict[UUID, _Counts]:
    counts: dict[UUID, _Counts] = {}
    ids: dict[str, object] = {"ids": list(set(session_ids))}
    writes, values = (_ALL_WRITES, ids) if most is None else (_NEWEST_WRITES, {**ids, "most": most})
    for row in await session.execute(text(writes + _COUNT), values):
        counts.setdefault(row.session_id, _Counts()).add(row)
    return counts


async def _count_rows_once(session: AsyncSession, counts: Mapping[UUID, _Counts]) -> None:
    """Counts each row of a session once: of those with several writes, the smallest first."""
    room = ROWS_COUNTED_ONCE
    wanted = []
    for session_id, found in sorted(counts.items(), key=lambda item: item[1].rows["committed"]):
        room -= found.rows["committed"]
        if found.writes["committed"] > 1 and room >= 0:
            wanted.append(session_id)
    if not wanted:
        return
    distinct: dict[UUID, dict[VerbCount, int]] = defaultdict(dict)
    for row in await session.execute(text(_COUNT_DISTINCT), {"ids": wanted}):
        if row.is_of_table:
            counts[row.session_id].distinct = (counts[row.session_id].distinct or 0) + row.rows
        else:
            distinct[row.session_id][VerbCount(row.verb, row.schema, row.table, 0, row.is_cascade)] = row.rows
    for session_id, by_verb in distinct.items():
        changes = merge_counts(counts[session_id].changes["committed"])
        counts[session_id].changes["committed"] = [
            replace(one, rows=min(one.rows, by_verb.get(replace(one, rows=0), one.rows))) for one in changes
        ]


async def _count_refusals(session: AsyncSession, session_ids: Sequence[UUID]) -> dict[UUID, int]:
    query = (
        select(JournalRefusal.session_id, func.sum(JournalRefusal.count))
        .where(JournalRefusal.session_id.in_(session_ids))
        .group_by(JournalRefusal.session_id)
    )
    return {session_id: int(count) for session_id, count in await session.execute(query) if session_id is not None}


async def _find_blocked(session: AsyncSession, session_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Finds the last refused request of each session: "DELETE orders"."""
    if not session_ids:
        return {}
    rows = await session.execute(text(_FIND_BLOCKED), {"ids": list(session_ids)})
    return {
        row.session_id: make_brief(f"{row.method} {(row.table_name or '').rpartition('.')[2]}".strip()) for row in rows
    }


async def _find_undos(session: AsyncSession, session_ids: Sequence[UUID]) -> dict[UUID, list[Row[Any]]]:
    """Finds the effective undos of sessions, in their order."""
    undos: dict[UUID, list[Row[Any]]] = {}
    if session_ids:
        for row in await session.execute(text(_FIND_UNDOS), {"ids": list(session_ids)}):
            undos.setdefault(row.undo_of, []).append(row)
    return undos


async def _find_origins(session: AsyncSession, undo_ids: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    if not undo_ids:
        return {}
    return {row.undo: row for row in await session.execute(text(_FIND_ORIGINS), {"ids": list(undo_ids)})}
