"""What a stream sends: events in the order of their keys, as JSON without values of rows, of bounded size."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID

import msgspec
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal.live import queries
from basewarden.journal.live.positions import JournalSnapshot, StreamPosition
from basewarden.journal.models import JournalIntervention, JournalRefusal, JournalSession
from basewarden.journal.refusals import explain_refusal
from basewarden.journal.sessions.states import AgentStop, find_status
from basewarden.journal.sessions.stops.queries import find_agent_stops

LATEST_SECONDS = 5
"""A stream without a position begins with what happened since, which a page that was just loaded may not show."""
HORIZON_SECONDS = 3600
"""A stream continues a position that is not older."""
MAX_WRITES_READ = 5000
MAX_EVENTS = 200
MAX_READ_BYTES = 32 * 1024
"""Of the messages of one read; a stream that continues between two events of a read gets those of two reads."""
_LATEST_WRITES = 500
_MAX_LISTED = 10
_MAX_TEXT = 200
EventKind = Literal["write", "refused", "state", "proposal", "reload"]


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """`session_id` is None for a refusal that belongs to no session."""

    kind: EventKind
    id: UUID
    session_id: UUID | None
    data: bytes

    @property
    def key(self) -> str:
        return f"{self.kind[0]}{self.id}"


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """An event as it is sent; all streams of a connection share it.

    `session_id` is None for a refusal that belongs to no session; `is_for_all`: all streams get it.
    """

    session_id: UUID | None
    body: bytes
    is_for_all: bool = False


EventReader = Callable[[AsyncSession, UUID, JournalSnapshot, JournalSnapshot, int], Awaitable[list[LiveEvent]]]
"""Reads what became visible on a connection after one snapshot and is visible in another, at most so many events."""


class TooMuchChanged(Exception):
    """More has happened than is worth sending event by event."""


async def read_events(
    session: AsyncSession,
    connection_id: UUID,
    since: JournalSnapshot,
    until: JournalSnapshot,
    readers: Sequence[EventReader] = (),
) -> list[LiveEvent]:
    """Reads what became visible after `since` and is visible in `until`, in order. Raises TooMuchChanged.

    `readers` read the events of other features.
    """
    if until.at - since.at > HORIZON_SECONDS or since.at > until.at + 1 or since.xmax > until.xmax:
        raise TooMuchChanged  # or the position is of another database
    sums = await queries.sum_settled_writes(session, connection_id, since, until, limit=MAX_WRITES_READ)
    changed = await queries.list_changed_sessions(session, connection_id, since, until, limit=MAX_EVENTS + 1)
    refusals = await queries.list_new_refusals(session, connection_id, since, until, limit=MAX_EVENTS + 1)
    interventions = await queries.list_new_interventions(session, connection_id, since, until, limit=MAX_EVENTS + 1)
    by_session = {one.session_id: _intervention_body(one) for one in interventions}
    stops = await find_agent_stops(session, changed)
    events = [
        *await _describe_writes(session, sums),
        *(_describe_state(found, _find_stop(found, stops), by_session.get(found.id, {})) for found in changed),
        *(make_event("state", one.id, None, _stop_body(one)) for one in interventions if one.session_id is None),
        *map(_describe_refusal, refusals),
    ]
    for read in readers:
        events += await read(session, connection_id, since, until, MAX_EVENTS + 1)
    if sum(row.seen for row in sums) >= MAX_WRITES_READ or len(events) > MAX_EVENTS:
        raise TooMuchChanged
    return sorted(events, key=lambda event: event.key)


async def read_latest_writes(session: AsyncSession, connection_id: UUID, until: JournalSnapshot) -> list[LiveEvent]:
    sums = await queries.sum_latest_writes(session, connection_id, until, seconds=LATEST_SECONDS, limit=_LATEST_WRITES)
    return sorted(await _describe_writes(session, sums), key=lambda event: event.key)


def make_messages(
    events: Sequence[LiveEvent], since: JournalSnapshot | None, until: JournalSnapshot
) -> list[StreamMessage]:
    """Gives each event the id after which a stream continues with the next one. Raises TooMuchChanged."""
    messages = []
    for number, event in enumerate(events, 1):
        is_last = number == len(events) or since is None
        position = StreamPosition(until) if is_last or since is None else StreamPosition(since, until, event.key)
        head = f"id: {position.encode()}\nevent: {event.kind}\ndata: ".encode()
        messages.append(StreamMessage(event.session_id, b"%b%b\n\n" % (head, event.data)))
    if sum(len(message.body) for message in messages) > MAX_READ_BYTES:
        raise TooMuchChanged
    return messages


def make_reload(until: JournalSnapshot) -> StreamMessage:
    """Asks the client to load everything again."""
    body = f"id: {until.encode()}\nevent: reload\ndata: {{}}\n\n".encode()
    return StreamMessage(None, body, is_for_all=True)


async def _describe_writes(session: AsyncSession, sums: Sequence[Row[Any]]) -> Iterable[LiveEvent]:
    by_session: dict[UUID, list[Row[Any]]] = {}
    for row in sums:
        if row.writes:
            by_session.setdefault(row.session_id, []).append(row)
    found = await queries.list_sessions_by_id(session, by_session) if by_session else ()
    stops = await find_agent_stops(session, found)
    return [
        make_event(
            "write", one.id, one.id, {**_session_body(one, _find_stop(one, stops)), **_sum_body(by_session[one.id])}
        )
        for one in found
    ]


def _find_stop(session: JournalSession, stops: Mapping[UUID, AgentStop]) -> AgentStop | None:
    return stops.get(session.agent_id) if session.agent_id is not None else None


def _sum_body(rows: Sequence[Row[Any]]) -> Mapping[str, object]:
    """Sums up the writes of one session since the last event about it."""
    largest = sorted(rows, key=lambda row: -int(row.rows))[:_MAX_LISTED]
    return {
        "at": max(row.at for row in rows).isoformat(),
        "writes": sum(row.writes for row in rows),
        "unknownWrites": sum(row.unknown for row in rows),
        "rows": int(sum(row.rows for row in rows)),
        "changes": [
            {"schema": row.schema_name, "table": row.table_name, "verb": row.verb, "rows": int(row.rows)}
            for row in largest
        ],
    }


def _describe_state(session: JournalSession, stop: AgentStop | None, intervention: Mapping[str, object]) -> LiveEvent:
    return make_event("state", session.id, session.id, {**_session_body(session, stop), **intervention})


def _stop_body(intervention: JournalIntervention) -> Mapping[str, object]:
    """Of an agent; without one, of all agents of the connection."""
    return {
        "sessionId": None,
        "agentId": str(intervention.agent_id) if intervention.agent_id else None,
        "agent": cut_text(intervention.agent_name) if intervention.agent_name else None,
        **_intervention_body(intervention),
    }


def _intervention_body(intervention: JournalIntervention) -> Mapping[str, object]:
    return {
        "action": intervention.action,
        "by": cut_text(intervention.user_name) if intervention.user_name else None,
        "reason": intervention.reason,
        "at": intervention.at.isoformat(),
    }


def _session_body(session: JournalSession, stop: AgentStop | None) -> dict[str, object]:
    return {
        "sessionId": str(session.id),
        "kind": session.kind,
        "agentId": str(session.agent_id) if session.agent_id else None,
        "caller": cut_text(session.caller_name),
        "label": cut_text(session.label) if session.label else None,
        "status": find_status(session, stop),
        "frozenReason": session.frozen_reason,
        "undoState": session.undo_state,
        "writeCount": session.write_count,
        "startedAt": session.started_at.isoformat(),
        "lastSeenAt": session.last_seen_at.isoformat(),
    }


def _describe_refusal(refusal: JournalRefusal) -> LiveEvent:
    body = {
        "sessionId": str(refusal.session_id) if refusal.session_id else None,
        "agentId": str(refusal.agent_id),
        "agent": cut_text(refusal.agent_name),
        "at": refusal.at.isoformat(),
        "code": refusal.code,
        "reason": explain_refusal(refusal),
        "method": refusal.method,
        "table": cut_text(refusal.table) if refusal.table else None,
        "count": refusal.count,
    }
    return make_event("refused", refusal.id, refusal.session_id, body)


def make_event(kind: EventKind, event_id: UUID, session_id: UUID | None, body: Mapping[str, object]) -> LiveEvent:
    """Makes an event of a body without values of rows."""
    return LiveEvent(kind, event_id, session_id, msgspec.json.encode(cast("dict[str, object]", body)))


def cut_text(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
