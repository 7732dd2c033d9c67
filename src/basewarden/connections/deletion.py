"""What is lost with a connection, counted before it is deleted."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from basewarden.connections import queries
from basewarden.db import ReadSession
from basewarden.web import count_things

MAX_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class SessionCounter:
    """`count` counts the sessions of a connection up to a number; the journal provides it."""

    count: Callable[[ReadSession, UUID, int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class QuarantineCounter:
    """`count` counts what of a connection's database is in quarantine; the sentry provides it."""

    count: Callable[[ReadSession, UUID], Awaitable[int]]


async def describe_deletion(
    session: ReadSession, counter: SessionCounter, quarantines: QuarantineCounter, connection_id: UUID
) -> list[str]:
    """Lists in sentences what deleting the connection does."""
    agents = await queries.count_agents(session, connection_id)
    sessions = await counter.count(session, connection_id, MAX_COUNTED + 1)
    closed = await quarantines.count(session, connection_id)
    return [
        _describe_access(agents),
        _describe_journal(sessions),
        "The database itself is not changed.",
        *([_describe_quarantines(closed)] if closed else []),
    ]


def _describe_access(agents: int) -> str:
    if agents == 0:
        return "The stored credentials are deleted. No agent uses them."
    stop = "stops" if agents == 1 else "stop"
    return f"The stored credentials are deleted, and {count_things(agents, 'agent')} {stop} working at once."


def _describe_quarantines(closed: int) -> str:
    stays = "stays" if closed == 1 else "stay"
    return f"{count_things(closed, 'object')} {stays} in quarantine, and what to give back is forgotten: release first."


def _describe_journal(sessions: int) -> str:
    if sessions == 0:
        return "The journal is deleted. It has no sessions."
    number = f"more than {MAX_COUNTED:,} sessions" if sessions > MAX_COUNTED else count_things(sessions, "session")
    return f"The journal is deleted: {number} can no longer be viewed or undone."
