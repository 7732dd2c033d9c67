"""`/c/<id>/refusals`: requests of agents that policy refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Viewer
from basewarden.core.ids import parse_id
from basewarden.journal.models import JournalRefusal
from basewarden.journal.refusals import (
    REFUSAL_TITLES,
    Remedies,
    describe_filter,
    describe_refused,
    explain_refusal,
    read_remedies,
    service,
)
from basewarden.journal.refusals.queries import count_by_code, list_refused_agents
from basewarden.web import PagesDep, Reading

router = APIRouter(prefix="/c/{connection_id}/refusals", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class BlockedRequest:
    """`title` says in words what was to be done, `filter` by which columns, `summary` is the request without values.

    `remedy` is what lets it pass: the words of a button, and where it leads.
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
    reason: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """`reason` is the code of a refusal."""
    agent, code = agent or None, reason or None
    page = await service.list_refusals(db, member.connection.id, agent=agent, code=code, cursor=cursor)
    counts = await count_by_code(db, member.connection.id, parse_id(agent) if agent else None)
    remedies = await read_remedies(db, member, [refusal.agent_id for refusal in page.refusals])
    agents = await list_refused_agents(db, member.connection.id)
    here = f"/c/{member.connection.id}/refusals"
    kept = {key: value for key, value in (("agent", agent), ("reason", code)) if value}
    return pages.render(
        request,
        "journal/refusals.html",
        here=_encode(here, kept),
        refusals=[_show(refusal, remedies) for refusal in page.refusals],
        facts=_describe_counts([one for one in counts if code in (None, one[0])]),
        tabs=_make_tabs(here, {"agent": agent} if agent else {}, counts, code),
        current=code or "all",
        agents=[(str(one), name) for one, name in agents],
        agent=agent,
        agent_name={str(one): name for one, name in agents}.get(agent or ""),
        without_agent=_encode(here, {"reason": code} if code else {}),
        is_first=cursor is None,
        next_href=_encode(here, {**kept, "cursor": page.next_cursor}) if page.next_cursor else None,
    )


def _encode(path: str, parameters: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(parameters)}" if parameters else path


def _make_tabs(
    here: str, kept: Mapping[str, str], counts: Sequence[tuple[str, int, int]], chosen: str | None
) -> list[tuple[str, str, str, int]]:
    """The reasons of a week with their counts, and the chosen one in any case."""
    by_code = {code: week for code, _, week in counts}
    if chosen is not None:
        by_code.setdefault(chosen, 0)
    reasons = [
        (code, REFUSAL_TITLES.get(code, code), _encode(here, {**kept, "reason": code}), week)
        for code, week in by_code.items()
    ]
    return [("all", "All", _encode(here, kept), sum(by_code.values())), *reasons]


def _show(refusal: JournalRefusal, remedies: Remedies) -> BlockedRequest:
    return BlockedRequest(
        _capitalise(describe_refused(refusal)),
        describe_filter(refusal.summary),
        refusal.summary,
        _capitalise(explain_refusal(refusal)),
        refusal.code,
        refusal.agent_id,
        refusal.agent_name,
        refusal.session_id,
        refusal.count,
        refusal.at,
        remedies.find(refusal.agent_id, refusal.code),
    )


def _describe_counts(counts: Sequence[tuple[str, int, int]]) -> str:
    """Returns how many requests were blocked in a week and in a day; "" where there were none."""
    day, week = sum(one for _, one, _ in counts), sum(one for _, _, one in counts)
    if not week:
        return ""
    return f"{week:,} in 7 days, {'all' if day == week else format(day, ',')} in the last 24 hours."


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]
