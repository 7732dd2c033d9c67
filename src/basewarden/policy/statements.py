"""Counts the rows that agents write, as statements of the journal's own transaction: what is refused is not counted.

An agent's counts are read under a lock of its own, held to the end of the transaction, so that two writes never take
the same room.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from basewarden.policy.usage import HourOfUse
from pgrest import Rows, Statement, array_literal


@dataclass(frozen=True, slots=True)
class CountedRows:
    """Rows that were counted for an agent before it was known how many its write changes."""

    agent_id: UUID
    rows: int


def lock_use(agents: Iterable[UUID]) -> list[Statement]:
    """In the order of ids, so that two processes never deadlock."""
    sql = "SELECT pg_advisory_xact_lock(hashtextextended('agent use ' || $1::text, 0))"
    return [Statement(sql, (str(agent).encode(),)) for agent in sorted(agents)]


def read_use(agents: Iterable[UUID]) -> Statement:
    return Statement(
        """
        SELECT agent.id::text, extract(epoch FROM clock_timestamp())::float8, extract(epoch FROM u.minute)::float8,
            coalesce(u.rows_written, 0)
        FROM unnest($1::uuid[]) AS agent(id) LEFT JOIN agent_use AS u
            ON u.agent_id = agent.id AND u.minute >= date_trunc('minute', clock_timestamp()) - interval '1 hour'
        ORDER BY u.minute
        """,
        (array_literal(map(str, agents)).encode(),),
    )


def make_hours(rows: Rows) -> dict[UUID, HourOfUse]:
    hours: dict[UUID, HourOfUse] = {}
    for agent, now, began, used in rows.rows:
        hour = hours.setdefault(UUID((agent or b"").decode()), HourOfUse(float(now or 0), []))
        if began is not None:
            hour.minutes.append((float(began), int(used or 0)))
    return hours


def add_use(used: Mapping[UUID, int]) -> Statement:
    """An agent that was deleted meanwhile is left out."""
    return Statement(
        """
        INSERT INTO agent_use AS u (agent_id, minute, rows_written)
        SELECT given.id, date_trunc('minute', clock_timestamp()), given.used
        FROM unnest($1::uuid[], $2::int8[]) AS given(id, used) JOIN agents ON agents.id = given.id
        ON CONFLICT (agent_id, minute) DO UPDATE SET rows_written = u.rows_written + excluded.rows_written
        """,
        (array_literal(map(str, used)).encode(), array_literal(map(str, used.values())).encode()),
    )


def settle_use(counted: CountedRows, actual: int) -> Statement:
    """Corrects what was counted for a write whose rows are known only now. It may have been an earlier minute's."""
    return Statement(
        """
        UPDATE agent_use SET rows_written = greatest(0, rows_written - $2::int8)
        WHERE agent_id = $1::uuid AND minute = (SELECT max(minute) FROM agent_use WHERE agent_id = $1::uuid)
        """,
        (str(counted.agent_id).encode(), str(counted.rows - actual).encode()),
    )
