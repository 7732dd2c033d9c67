"""`/c/<id>/proposals/approve` and `/decline`: ask before one or several proposals are decided, and decide them."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from basewarden.approvals.batch_outcome import encode_outcome, find_outcome
from basewarden.approvals.decision_words import DecisionAction, DecisionQuestion, make_question
from basewarden.approvals.pages import DecisionForm
from basewarden.approvals.proposal_view import show_lines
from basewarden.approvals.routes import ApprovalsDep, make_decider
from basewarden.approvals.schemas import MAX_TOGETHER
from basewarden.approvals.service import Approvals
from basewarden.connections import Editor, Membership
from basewarden.core.ids import parse_id
from basewarden.db import Database
from basewarden.errors import NotFound
from basewarden.journal import RowNames, RowNamesDep
from basewarden.proposals import list_proposals_by_id
from basewarden.web import DatabaseDep, Pages, PagesDep, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}/proposals", include_in_schema=False)

_PAGE = "approvals/decide.html"
ProposalId = Annotated[str, Field(max_length=100)]
ChosenQuery = Annotated[list[ProposalId] | None, Query(alias="id", max_length=MAX_TOGETHER)]


class BatchForm(DecisionForm):
    """`id` is sent once for each proposal."""

    id: Annotated[list[ProposalId], Field(min_length=1, max_length=MAX_TOGETHER)]


@router.get("/approve")
async def get_approve(
    request: Request,
    member: Editor,
    database: DatabaseDep,
    pages: PagesDep,
    names: RowNamesDep,
    wanted: ChosenQuery = None,
) -> Response:
    return await _ask(request, pages, database, member, names, "approve", wanted or ())


@router.get("/decline")
async def get_decline(
    request: Request,
    member: Editor,
    database: DatabaseDep,
    pages: PagesDep,
    names: RowNamesDep,
    wanted: ChosenQuery = None,
) -> Response:
    return await _ask(request, pages, database, member, names, "decline", wanted or ())


@router.post("/approve")
async def post_approve_several(
    request: Request,
    member: Editor,
    database: DatabaseDep,
    pages: PagesDep,
    names: RowNamesDep,
    approvals: ApprovalsDep,
) -> Response:
    return await _decide(request, pages, database, member, names, approvals, "approve")


@router.post("/decline")
async def post_decline_several(
    request: Request,
    member: Editor,
    database: DatabaseDep,
    pages: PagesDep,
    names: RowNamesDep,
    approvals: ApprovalsDep,
) -> Response:
    return await _decide(request, pages, database, member, names, approvals, "decline")


async def _ask(
    request: Request,
    pages: Pages,
    database: Database,
    member: Membership,
    names: RowNames,
    action: DecisionAction,
    wanted: Sequence[str],
) -> Response:
    """Leads to the list where none is chosen, or all are decided already."""
    question = await _make_question(database, member, names, action, wanted)
    if not question.lines:
        return redirect(question.path)
    return pages.render(request, _PAGE, question=question, typed={}, errors={})


async def _decide(
    request: Request,
    pages: Pages,
    database: Database,
    member: Membership,
    names: RowNames,
    approvals: Approvals,
    action: DecisionAction,
) -> Response:
    """Each is decided for itself; leads to the list, which says what became of them, or to the only one."""
    form = await parse_form(request, BatchForm, lists=("id",))
    if form.data is None:
        wanted = [one for one in form.typed.get("id", "").split("\n") if one]
        question = await _make_question(database, member, names, action, wanted)
        if not question.lines:
            return redirect(question.path)
        return show_again(request, pages, _PAGE, form, question=question)
    ids = [one.id for one in (await _make_question(database, member, names, action, form.data.id)).lines]
    decide = approvals.approve_each if action == "approve" else approvals.decline_each
    decisions = await decide(member.connection.id, ids, make_decider(member, form.data))
    if len(decisions) == 1 and decisions[0].status == "declined":
        return redirect(f"{_path(member)}/{ids[0]}")
    return redirect(f"{_path(member)}?{encode_outcome(map(find_outcome, decisions))}")


async def _make_question(
    database: Database, member: Membership, names: RowNames, action: DecisionAction, wanted: Sequence[str]
) -> DecisionQuestion:
    """Asks about those that wait, in the order in which they were proposed.

    Our own database's connection is free again when they are decided, which takes as long as the project does. Raises
    NotFound where one of them is not the connection's.
    """
    ids = {parse_id(one) for one in wanted}
    known = [one for one in ids if one is not None]
    async with database.read_only() as db:
        found = await list_proposals_by_id(db, known, member.connection.id)
        if len(found) < len(ids):
            raise NotFound("There is no such proposal.")
        lines = await show_lines(db, list(reversed(found)), member, names)
    return make_question(action, _path(member), [line for line in lines if line.is_pending])


def _path(member: Membership) -> str:
    return f"/c/{member.connection.id}/proposals"
