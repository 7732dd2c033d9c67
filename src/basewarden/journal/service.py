"""Reads the journal: sessions, their writes and their mutations."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from basewarden.core.ids import parse_id
from basewarden.db import ReadSession
from basewarden.errors import Invalid, NotFound
from basewarden.journal import queries
from basewarden.journal.models import JournalWrite
from basewarden.journal.queries import MutationView
from basewarden.journal.sessions import SessionFilter, SessionPosition, SessionSummary, find_search_end, find_session
from basewarden.journal.sessions import list_sessions as read_sessions

STATUSES = ("active", "ended", "frozen", "undone", "partly_undone", "expired")
DEFAULT_PAGE = 50
MAX_PAGE = 200
MUTATIONS_PER_PAGE = 1000
BYTES_PER_PAGE = 8 * 1024 * 1024
"""The limit for all images in one response; a single row may exceed it."""
WRITES_SHOWN = 1000
_LARGEST_POSITION = 2**63 - 1


@dataclass(frozen=True)
class SessionPage:
    sessions: list[SessionSummary]
    next_cursor: str | None


async def list_sessions(
    db: ReadSession,
    connection_id: UUID,
    wanted: SessionFilter,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_PAGE,
    is_exact: bool = True,
) -> SessionPage:
    if wanted.status is not None and wanted.status not in STATUSES:
        raise Invalid.field("status", f"Choose one of {', '.join(STATUSES)}.")
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid.field("limit", f"Must be between 1 and {MAX_PAGE}.")
    before = decode_cursor(cursor) if cursor else None
    found = await read_sessions(db, connection_id, limit=limit + 1, before=before, wanted=wanted, is_exact=is_exact)
    page = found[:limit]
    if len(found) > limit:
        return SessionPage(page, encode_cursor((page[-1].session.last_seen_at, page[-1].session.id)))
    end = await find_search_end(db, connection_id, before, wanted) if wanted.table is not None else None
    return SessionPage(page, encode_cursor(end) if end is not None else None)


async def get_session(db: ReadSession, connection_id: UUID, session_id: str) -> SessionSummary:
    known = parse_id(session_id)
    found = await find_session(db, connection_id, known) if known else None
    if found is None:
        raise NotFound("There is no such session.")
    return found


async def list_mutations(
    db: ReadSession, session_id: UUID, after_position: int = 0
) -> tuple[list[MutationView], int | None]:
    """Returns one page, and the position after which the next page begins (None at the end)."""
    after_position = bound_position(after_position)
    end = await queries.find_page_end(
        db, session_id, limit=MUTATIONS_PER_PAGE, max_bytes=BYTES_PER_PAGE, after_position=after_position
    )
    page = await queries.list_mutations(db, session_id, after_position=after_position, up_to=end)
    return page, end if await queries.has_mutations(db, session_id, after_position=end) else None


def bound_position(position: int) -> int:
    """Returns a position that the database can compare; none is beyond the largest one."""
    return max(0, min(position, _LARGEST_POSITION))


def encode_cursor(position: SessionPosition) -> str:
    return base64.urlsafe_b64encode(f"{position[0].isoformat()} {position[1]}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> SessionPosition:
    try:
        at, _, last = base64.urlsafe_b64decode(cursor + "==").decode().partition(" ")
        position = datetime.fromisoformat(at), UUID(last)
    except (binascii.Error, ValueError):
        raise Invalid.field("cursor", "This cursor is not valid.") from None
    if position[0].tzinfo is None:
        raise Invalid.field("cursor", "This cursor is not valid.")
    return position


def session_body(summary: SessionSummary) -> dict[str, Any]:
    session = summary.session
    return {
        "id": str(session.id),
        "agent": {"id": str(session.agent_id), "name": session.caller_name} if session.agent_id else None,
        "caller": session.caller_name,
        "kind": session.kind,
        "label": session.label,
        "title": summary.title,
        "capture": session.capture,
        "startedAt": session.started_at.isoformat(),
        "lastSeenAt": session.last_seen_at.isoformat(),
        "status": summary.status,
        "frozenAt": session.frozen_at.isoformat() if session.frozen_at else None,
        "frozenReason": session.frozen_reason,
        "writeCount": summary.writes,
        "mutationCount": summary.mutation_count,
        "pendingCount": summary.pending_count,
        "unknownCount": summary.unknown_count,
        "refusedCount": summary.refused_count,
        "tables": list(summary.tables),
        "undoOf": str(session.undo_of) if session.undo_of else None,
    }


def write_body(write: JournalWrite) -> dict[str, Any]:
    """`unseen` counts, by table, the uncaptured changes of the functions that the write ran."""
    return {
        "id": str(write.id),
        "at": write.at.isoformat(),
        "state": write.state,
        "verb": write.verb,
        "summary": write.summary,
        "tables": write.tables,
        "mutationCount": write.mutation_count,
        "unseen": write.unseen or [],
    }


def mutation_body(view: MutationView) -> dict[str, Any]:
    """Returns a body for msgspec: images and keys stay the JSON text that PostgreSQL wrote."""
    mutation = view.mutation
    return {
        "id": str(mutation.id),
        "position": mutation.position,
        "schema": mutation.schema,
        "table": mutation.table,
        "verb": mutation.verb,
        "cause": mutation.cause,
        "primaryKey": view.primary_key,
        "before": _raw(mutation.before),
        "after": _raw(mutation.after),
        "beforeExact": mutation.before_exact,
        "afterExact": mutation.after_exact,
        "at": mutation.at.isoformat(),
        "state": view.state,
        "writeId": str(mutation.write_id),
    }


def _raw(image: str | None) -> msgspec.Raw | None:
    return msgspec.Raw(image.encode()) if image is not None else None
