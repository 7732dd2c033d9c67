"""Finds the values that an undo would bring back although the session that wrote them is undone."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal import encode_key
from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.target import UndoTarget
from pgrest import Name

_ROWS_AT_ONCE = 2_000


class _RestoredRow(NamedTuple):
    """A row with the columns that would get their values from before the session."""

    table: Name
    key: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _UndoInEffect:
    """An undo of a session: of all its writes up to `position`, or of `writes`."""

    position: int
    writes: frozenset[UUID]

    def covers(self, write_id: UUID, position: int) -> bool:
        return write_id in self.writes if self.writes else position <= self.position


async def find_brought_back(db: AsyncSession, target: UndoTarget, plan: UndoPlan) -> UndoPlan:
    """The plan with the columns whose earlier value was set by a write that is undone, if there are any.

    Reads only the journal. A redo brings back what its own undo took away, which its preview says already.
    """
    undone = await _list_undone(db, target)
    if not undone:
        return plan
    found: dict[tuple[Name, tuple[str, ...]], dict[str, UUID]] = {}
    rows = _list_rows(plan)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        for number, column, session_id in await _find_undone_writers(db, target, some, undone):
            found.setdefault((some[number].table, some[number].key), {})[column] = session_id
    return plan.with_brought_back(found) if found else plan


def _list_rows(plan: UndoPlan) -> list[_RestoredRow]:
    """The rows that are written, and those of conflicts that could be."""
    rows = [
        _RestoredRow(row.table.qualified, row.target_key or (), row.restored or tuple(row.target))
        for row in plan.writes
        if row.target is not None
    ]
    rows += [
        _RestoredRow((one.schema, one.table), one.key, one.columns)
        for one in plan.conflicts
        if one.id is not None and not one.deletes
    ]
    return [row for row in rows if row.columns]


_LIST_UNDONE = text("""
    WITH RECURSIVE chain(id, undo_of) AS (
        SELECT id, undo_of FROM journal_sessions WHERE id = :session
        UNION ALL SELECT s.id, s.undo_of FROM journal_sessions AS s JOIN chain ON s.id = chain.undo_of)
    SELECT undo_of, (receipt ->> 'position')::bigint AS position, receipt -> 'writes' AS writes
    FROM journal_sessions
    WHERE connection_id = :connection AND kind = 'undo' AND undo_state = 'done' AND status <> 'undone'
      AND undo_of NOT IN (SELECT id FROM chain)
""")


async def _list_undone(db: AsyncSession, target: UndoTarget) -> dict[UUID, list[_UndoInEffect]]:
    """The sessions with undos in effect, apart from the one to undo and what that undid itself."""
    values = {"session": target.session_id, "connection": target.connection_id}
    undone: dict[UUID, list[_UndoInEffect]] = {}
    for row in await db.execute(_LIST_UNDONE, values):
        writes = frozenset(UUID(write) for write in row.writes or ())
        undone.setdefault(row.undo_of, []).append(_UndoInEffect(row.position or 0, writes))
    return undone


# Of a row, only the newest changes of these columns are read; older ones are of no more interest.
_FIND_WRITERS = text("""
    SELECT k.number, past.session_id, past.write_id, past.position, past.changed
    FROM unnest(CAST(:numbers AS int[]), CAST(:schemas AS text[]), CAST(:tables AS text[]), CAST(:keys AS text[]),
                CAST(:columns AS text[])) AS k(number, schema, "table", key, columns)
    CROSS JOIN LATERAL (
        SELECT min(m.id) AS id FROM journal_mutations AS m
        WHERE m.connection_id = :connection AND m.schema_name = k.schema AND m.table_name = k."table"
            AND md5(m.row_key) = md5(k.key) AND m.row_key = k.key AND m.session_id = :session
            AND (cardinality(CAST(:writes AS uuid[])) = 0 OR m.write_id = ANY(CAST(:writes AS uuid[])))) AS own
    CROSS JOIN LATERAL (
        SELECT m.id, m.session_id, m.write_id, m.position,
               ARRAY(SELECT c.name FROM json_array_elements_text(k.columns::json) AS c(name)
                     WHERE m.before_exact ->> c.name IS DISTINCT FROM m.after_exact ->> c.name) AS changed
        FROM journal_mutations AS m JOIN journal_writes AS w ON w.id = m.write_id
        WHERE m.connection_id = :connection AND m.schema_name = k.schema AND m.table_name = k."table"
            AND md5(m.row_key) = md5(k.key) AND m.row_key = k.key AND m.session_id <> :session
            AND m.id < own.id AND m.verb <> 'delete' AND w.state = 'committed'
        ORDER BY m.id DESC LIMIT 5) AS past
    WHERE cardinality(past.changed) > 0 ORDER BY k.number, past.id DESC
""")


async def _find_undone_writers(
    db: AsyncSession, target: UndoTarget, rows: Sequence[_RestoredRow], undone: Mapping[UUID, Collection[_UndoInEffect]]
) -> list[tuple[int, str, UUID]]:
    """Row number, column and session where the session that set the column last, before the target, is undone."""
    values = {
        "numbers": list(range(len(rows))),
        "schemas": [row.table[0] for row in rows],
        "tables": [row.table[1] for row in rows],
        "keys": [encode_key(row.key) for row in rows],
        "columns": [msgspec.json.encode(row.columns).decode() for row in rows],
        "writes": list(target.writes_undone),
        "connection": target.connection_id,
        "session": target.session_id,
    }
    found: list[tuple[int, str, UUID]] = []
    known: set[tuple[int, str]] = set()
    for row in await db.execute(_FIND_WRITERS, values):
        new = [column for column in row.changed if (row.number, column) not in known]
        known.update((row.number, column) for column in new)
        if any(undo.covers(row.write_id, row.position) for undo in undone.get(row.session_id, ())):
            found += [(row.number, column, row.session_id) for column in new]
    return found
