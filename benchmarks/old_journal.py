"""A journal that has been written for a long time, made by the database itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from basewarden.core.ids import make_id

TABLES = ("journal_mutations", "journal_writes", "journal_sessions")


@dataclass(frozen=True)
class Shape:
    """So many sessions, each of so many writes, each of so many rows, `days` ago and over the `spread` days before."""

    sessions: int
    writes: int
    rows: int
    days: float
    spread: float = 0

    @property
    def counts(self) -> dict[str, int]:
        writes = self.sessions * self.writes
        return dict(zip(TABLES, (writes * self.rows, writes, self.sessions), strict=True))


async def make_connection(admin: psycopg.AsyncConnection[Any]) -> UUID:
    connection_id = make_id()
    await admin.execute(
        "INSERT INTO connections (id, name, environment, sealed_postgres_url, facts)"
        " VALUES (%s, 'Old', 'other', '\\x00', '{}')",
        (connection_id,),
    )
    return connection_id


async def make_months(admin: psycopg.AsyncConnection[Any], days: float) -> list[str]:
    """From so many days ago until today; the oldest first."""
    names = []
    month = (datetime.now(UTC) - timedelta(days=days)).date().replace(day=1)
    while month <= datetime.now(UTC).date():
        following = (month + timedelta(days=32)).replace(day=1)
        names.append(await _make_month(admin, month, following))
        month = following
    return names


async def _make_month(admin: psycopg.AsyncConnection[Any], first: date, following: date) -> str:
    name = f"journal_mutations_{first:%Y_%m}"
    bounds = (sql.Literal(f"{day} 00:00+00") for day in (first, following))
    statement = sql.SQL(
        "CREATE TABLE IF NOT EXISTS {} PARTITION OF journal_mutations FOR VALUES FROM ({}) TO ({})"
    ).format(sql.Identifier(name), *bounds)
    await admin.execute(statement)
    return name


async def fill(admin: psycopg.AsyncConnection[Any], connection_id: UUID, shape: Shape) -> Sequence[UUID]:
    """The sessions' ids. Every write is committed."""
    await make_months(admin, shape.days + shape.spread + 1)
    found = await admin.execute(
        """
        INSERT INTO journal_sessions
            (id, connection_id, caller_key, kind, caller_name, started_at, last_seen_at, position, write_count)
        SELECT gen_random_uuid(), %(connection)s, 'agent:old', 'agent', 'Old', at, at, %(position)s, %(writes)s
        FROM (SELECT now() - make_interval(secs => 86400 * (%(days)s + %(spread)s * n / %(sessions)s)) AS at
              FROM generate_series(0, %(sessions)s - 1) AS n) AS moments
        RETURNING id, started_at
        """,
        {
            "connection": connection_id,
            "position": shape.writes * shape.rows,
            "writes": shape.writes,
            "days": shape.days,
            "spread": shape.spread,
            "sessions": shape.sessions,
        },
    )
    rows = await found.fetchall()
    sessions = [row["id"] if isinstance(row, dict) else row[0] for row in rows]
    await _fill_writes(admin, sessions, shape.writes, shape.rows)
    return sessions


async def _fill_writes(admin: psycopg.AsyncConnection[Any], sessions: Sequence[UUID], writes: int, rows: int) -> None:
    await admin.execute(
        """
        INSERT INTO journal_writes (id, session_id, connection_id, at, xid, state, settled_at, verb, schema_name,
            table_name, mutation_count, tables, summary)
        SELECT gen_random_uuid(), s.id, s.connection_id, s.started_at, 1, 'committed', s.started_at, 'update', 'public',
            't', %(rows)s, '{public.t}', 'PATCH /t'
        FROM journal_sessions AS s, generate_series(1, %(writes)s) WHERE s.id = ANY(%(sessions)s)
        """,
        {"sessions": list(sessions), "writes": writes, "rows": rows},
    )
    await admin.execute(
        """
        INSERT INTO journal_mutations (at, write_id, session_id, connection_id, position, schema_name, table_name, verb,
            cause, key_columns, row_key, before, after, before_exact, after_exact)
        SELECT w.at, w.id, w.session_id, w.connection_id, n, 'public', 't', 'update', 'request', '{id}',
            format('["%%s"]', n),
            json_build_object('id', n, 'body', 'before'), json_build_object('id', n, 'body', 'after'),
            json_build_object('id', n::text, 'body', 'before'), json_build_object('id', n::text, 'body', 'after')
        FROM journal_writes AS w, generate_series(1, %(rows)s) AS n WHERE w.session_id = ANY(%(sessions)s)
        """,
        {"sessions": list(sessions), "rows": rows},
    )


async def count_journal(admin: psycopg.AsyncConnection[Any]) -> dict[str, int]:
    counts = {}
    for table in TABLES:
        query = sql.SQL("SELECT count(*) AS n FROM {}").format(sql.Identifier(table))
        row = await (await admin.execute(query)).fetchone()
        assert row is not None
        counts[table] = int(row["n"] if isinstance(row, dict) else row[0])
    return counts
