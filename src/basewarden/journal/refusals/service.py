"""Lists refusals for members of the connection."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from basewarden.core.ids import parse_id
from basewarden.db import ReadSession
from basewarden.errors import Invalid
from basewarden.journal.models import JournalRefusal
from basewarden.journal.refusals import queries

DEFAULT_PAGE = 50
MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class RefusalPage:
    refusals: list[JournalRefusal]
    next_cursor: str | None


async def list_refusals(
    db: ReadSession,
    connection_id: UUID,
    *,
    agent: str | None = None,
    code: str | None = None,
    since: datetime | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_PAGE,
) -> RefusalPage:
    """Lists the newest first. Raises Invalid for invalid filters."""
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid.field("limit", f"Must be between 1 and {MAX_PAGE}.")
    agent_id = parse_id(agent) if agent is not None else None
    if agent is not None and agent_id is None:
        raise Invalid.field("agent", "This is not an agent's id.")
    if since is not None and since.tzinfo is None:
        raise Invalid.field("since", "Use a time with an offset, such as 2030-12-31T12:00:00Z.")
    found = await queries.list_refusals(
        db,
        connection_id,
        limit=limit + 1,
        before=_decode_cursor(cursor) if cursor else None,
        agent_id=agent_id,
        code=code,
        since=since,
    )
    page = found[:limit]
    return RefusalPage(page, _encode_cursor(page[-1]) if len(found) > limit else None)


def refusal_body(refusal: JournalRefusal) -> dict[str, Any]:
    """`at` is the time of the last of `count` refusals, `firstAt` that of the first."""
    return {
        "at": refusal.at.isoformat(),
        "firstAt": refusal.first_at.isoformat(),
        "count": refusal.count,
        "agentId": str(refusal.agent_id),
        "agent": refusal.agent_name,
        "code": refusal.code,
        "method": refusal.method,
        "table": refusal.table,
        "summary": refusal.summary,
        "afterReading": refusal.after_reading or [],
        "sessionId": str(refusal.session_id) if refusal.session_id else None,
    }


def _encode_cursor(last: JournalRefusal) -> str:
    return base64.urlsafe_b64encode(f"{last.at.isoformat()} {last.id}".encode()).decode().rstrip("=")


def _decode_cursor(cursor: str) -> queries.RefusalPosition:
    try:
        at, _, last = base64.urlsafe_b64decode(cursor + "==").decode().partition(" ")
        place = datetime.fromisoformat(at), UUID(last)
    except (binascii.Error, ValueError):
        raise Invalid.field("cursor", "This cursor is not valid.") from None
    if place[0].tzinfo is None:
        raise Invalid.field("cursor", "This cursor is not valid.")
    return place
