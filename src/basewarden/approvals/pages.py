"""`/c/<id>/proposals`: the writes that wait for a decision, and each with its rows as they are and as they would be."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from basewarden.approvals.batch_outcome import read_outcome
from basewarden.approvals.decision_words import make_decline
from basewarden.approvals.proposal_view import ROWS_PER_PAGE, show_lines, show_proposal
from basewarden.approvals.routes import ApprovalsDep, make_decider
from basewarden.approvals.schemas import DecisionBody
from basewarden.connections import Editor, Membership, Role, Viewer
from basewarden.core.ids import parse_id
from basewarden.db import ReadSession
from basewarden.errors import AppError, NotFound
from basewarden.journal import RowNames, RowNamesDep
from basewarden.proposals import (
    count_by_status,
    find_creator_rule,
    find_proposal,
    list_proposals,
    list_proposing_agents,
)
from basewarden.web import AddressParameters, Form, Pages, PagesDep, Reading, parse_form, redirect

router = APIRouter(prefix="/c/{connection_id}/proposals", include_in_schema=False)

_MAX_AGENTS: Final = 100
_PENDING: Final = "pending"
_ALL: Final = "all"
_TABS: Final = (
    (_PENDING, "Pending"),
    ("executed", "Carried out"),
    ("declined", "Declined"),
    ("stale", "Stale"),
    ("expired", "Expired"),
    ("failed", "Failed"),
    (_ALL, "All"),
)
_Text = Annotated[str, Query(max_length=100)]


class ListedProposals(AddressParameters):
    """The parameters of the list's address; without a status it lists what waits."""

    status: str = ""
    agent: str = ""


class DecisionForm(DecisionBody):
    model_config = ConfigDict(extra="ignore")


@router.get("")
async def get_list(
    *,
    request: Request,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    names: RowNamesDep,
    status: _Text = "",
    agent: _Text = "",
    cursor: UUID | None = None,
) -> Response:
    here, shown = _path(member), ListedProposals(status=status, agent=agent)
    wanted = None if status == _ALL else status or _PENDING
    page = await list_proposals(db, member.connection.id, status=wanted, agent=agent or None, cursor=cursor)
    counts = await count_by_status(db, member.connection.id)
    return pages.render(
        request,
        "approvals/list.html",
        here=here,
        proposals=await show_lines(db, page.proposals, member, names),
        has_any=bool(counts),
        tabs=_list_tabs(here, shown, counts),
        current=status or _PENDING,
        parameters=shown,
        agents=[
            (str(one), name) for one, name in await list_proposing_agents(db, member.connection.id, limit=_MAX_AGENTS)
        ],
        without_agent=here + shown.encode(agent=""),
        outcome=read_outcome(request.query_params),
        viewer_id=member.person.id,
        can_decide=member.role.includes(Role.EDITOR),
        can_manage=member.role.includes(Role.OWNER),
        is_first=cursor is None,
        first_href=here + shown.encode(),
        next_href=here + shown.encode(cursor=str(page.cursor)) if page.cursor else None,
    )


@router.get("/{proposal_id}")
async def get_page(
    *,
    request: Request,
    proposal_id: str,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    names: RowNamesDep,
    after: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """`after` is the number of the row to continue after."""
    return await _show(request, pages, db, member, names, proposal_id, after=after)


@router.post("/{proposal_id}/approve")
async def post_approve(
    *,
    request: Request,
    proposal_id: str,
    member: Editor,
    db: Reading,
    pages: PagesDep,
    names: RowNamesDep,
    approvals: ApprovalsDep,
) -> Response:
    """Leads back to the proposal. What refuses it is shown there, with the state that the proposal has then."""
    form = await parse_form(request, DecisionForm)
    refused: AppError | None = None
    if form.data is not None:
        try:
            await approvals.approve(member.connection.id, proposal_id, make_decider(member, form.data))
        except NotFound:
            raise
        except AppError as error:
            refused = error
        else:
            return redirect(f"{_path(member)}/{parse_id(proposal_id)}")
    return await _show(request, pages, db, member, names, proposal_id, form=form, refused=refused)


async def _show(
    request: Request,
    pages: Pages,
    db: ReadSession,
    member: Membership,
    names: RowNames,
    proposal_id: str,
    *,
    after: int = 0,
    form: Form[DecisionForm] | None = None,
    refused: AppError | None = None,
) -> Response:
    found = await find_proposal(db, member.connection.id, proposal_id)
    one = await show_proposal(found, member, names, after)
    here = f"{_path(member)}/{one.line.id}"
    status = refused.status if refused else HTTPStatus.UNPROCESSABLE_ENTITY if form else HTTPStatus.OK
    return pages.render(
        request,
        "approvals/proposal.html",
        status=status,
        here=here,
        one=one,
        refused=refused.text if refused else None,
        decline=make_decline(_path(member), [one.line]),
        needs_another=await find_creator_rule(db, member.connection.id, one.line.agent_id) == member.person.id,
        typed=form.typed if form else {},
        errors=form.errors if form else {},
        viewer_id=member.person.id,
        can_decide=member.role.includes(Role.EDITOR),
        next_href=f"{here}?after={one.end}" if one.end < one.count else None,
        previous_href=f"{here}?after={max(0, one.first - ROWS_PER_PAGE)}" if one.first else None,
    )


def _list_tabs(here: str, shown: ListedProposals, counts: Mapping[str, int]) -> list[tuple[str, str, str, int | None]]:
    """Lists the states that there are proposals in, what waits, and all; counts are those of all agents."""
    current = shown.status or _PENDING
    counts = {**counts, _ALL: sum(counts.values())}
    return [
        (
            key,
            text,
            here + shown.encode(status="" if key == _PENDING else key),
            None if shown.agent else counts.get(key),
        )
        for key, text in _TABS
        if key in (_PENDING, _ALL, current) or counts.get(key)
    ]


def _path(member: Membership) -> str:
    return f"/c/{member.connection.id}/proposals"
