"""`/c/<id>/refusals`: requests of agents that policy refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Role, Viewer
from basewarden.core.ids import parse_id
from basewarden.journal.models import JournalRefusal
from basewarden.journal.refusals import service
from basewarden.journal.refusals.queries import count_by_code
from basewarden.journal.timeline import REFUSAL_WORDS, describe_filter, describe_refused, explain_refusal, find_remedy
from basewarden.web import PagesDep, Reading

REASONS_SHOWN = 3

router = APIRouter(prefix="/c/{connection_id}/refusals", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class BlockedRequest:
    """`title` says in words what was to be done, `filter` by which columns, `summary` is the request without values.

    `remedy` is what lets it pass: the words of a button, and a page below the agent's.
    """

    title: str
    filter: str
    summary: str
    reason: str
    code: str
    agent_id: UUID
    agent_name: str
    session_id: UUID | None
    count: int
    at: datetime
    remedy: tuple[str, str]


@router.get("")
async def get_refusals(
    request: Request,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    agent: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    page = await service.list_refusals(db, member.connection.id, agent=agent, cursor=cursor)
    counts = await count_by_code(db, member.connection.id, parse_id(agent) if agent else None)
    here = f"/c/{member.connection.id}/refusals"
    kept = {"agent": agent} if agent else {}
    shown = page.refusals[0] if agent and page.refusals else None
    return pages.render(
        request,
        "journal/refusals.html",
        here=f"{here}?{urlencode(kept)}" if kept else here,
        refusals=[_show(refusal, member.role) for refusal in page.refusals],
        facts=_describe_counts(counts) if cursor is None else "",
        is_filtered=agent is not None,
        agent_name=shown.agent_name if shown else None,
        agent_href=f"/c/{member.connection.id}/agents/{shown.agent_id}" if shown else None,
        is_first=cursor is None,
        next_href=f"{here}?{urlencode({**kept, 'cursor': page.next_cursor})}" if page.next_cursor else None,
    )


def _show(refusal: JournalRefusal, role: Role) -> BlockedRequest:
    reason = explain_refusal(refusal)
    return BlockedRequest(
        _capitalise(describe_refused(refusal)),
        describe_filter(refusal.summary),
        refusal.summary,
        _capitalise(reason),
        refusal.code,
        refusal.agent_id,
        refusal.agent_name,
        refusal.session_id,
        refusal.count,
        refusal.at,
        find_remedy(refusal.code, role),
    )


def _describe_counts(counts: Sequence[tuple[str, int, int]]) -> str:
    """Returns how many requests there were, and the most frequent reasons of several."""
    if not counts:
        return ""
    day, week = sum(one for _, one, _ in counts), sum(one for _, _, one in counts)
    reasons = [f"{of_week:,} because {REFUSAL_WORDS.get(code, code)}" for code, _, of_week in counts[:REASONS_SHOWN]]
    listed = f": {'; '.join(reasons)}" if len(counts) > 1 else ""
    return f"{week:,} in 7 days, {day:,} in the last 24 hours{listed}."


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]
