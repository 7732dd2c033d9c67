"""`/c/<id>/sentry/quarantines`, `…/<fid>/quarantine` and `…/release`: what is closed, and the way back."""

from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Editor, Membership, Role, Viewer
from basewarden.db import Database
from basewarden.errors import AppError
from basewarden.sentry.changes.change_view import ShownQuarantineTrial, show_quarantine, show_quarantines
from basewarden.sentry.changes.page_parts import describe_finding, get_detail, read_details, sentry_path
from basewarden.sentry.changes.queries import find_findings, list_quarantines
from basewarden.sentry.changes.routes import ChangesDep, make_actor
from basewarden.sentry.changes.service import Changes
from basewarden.sentry.schemas import FindingReason
from basewarden.web import DatabaseDep, Form, Pages, PagesDep, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}/sentry", include_in_schema=False)

_QUARANTINE: Final = "sentry/quarantine.html"
_RELEASE: Final = "sentry/release.html"


class QuarantineForm(BaseModel):
    reason: FindingReason = ""


@router.get("/quarantines")
async def get_quarantines_page(
    request: Request, member: Viewer, pages: PagesDep, changes: ChangesDep, database: DatabaseDep
) -> Response:
    await changes.reconciler.try_reconcile(member.connection.id)
    async with database.read_only() as session:
        found = await list_quarantines(session, member.connection.id)
        findings = await find_findings(session, [one.finding_id for one in found])
    return pages.render(
        request,
        "sentry/quarantines.html",
        here=f"{sentry_path(member)}/quarantines",
        quarantines=show_quarantines(found, findings, member.person.id),
        can_decide=member.role.includes(Role.EDITOR),
    )


@router.get("/{finding_id}/quarantine")
async def get_quarantine_page(
    request: Request, finding_id: str, member: Editor, pages: PagesDep, database: DatabaseDep
) -> Response:
    """Nothing is tried yet: that locks the object for a moment, and needs a press."""
    found = await get_detail(database, member, finding_id)
    context = {**describe_finding(member, found), "trial": None, "refusal": None}
    return pages.render(request, _QUARANTINE, typed={}, errors={}, **context)


@router.post("/{finding_id}/quarantine/try")
async def post_try_quarantine(
    *,
    request: Request,
    finding_id: str,
    member: Editor,
    pages: PagesDep,
    database: DatabaseDep,
    changes: ChangesDep,
) -> Response:
    """Shows the same page with whom it cuts off; nothing is kept, so there is nothing to redirect to."""
    found = await get_detail(database, member, finding_id)
    trial, error = await _try_quarantine(changes, member, finding_id)
    context = {**describe_finding(member, found), "trial": trial, "refusal": read_details(error)}
    if error is not None:
        return show_again(request, pages, _QUARANTINE, Form({}), error, **context)
    return pages.render(request, _QUARANTINE, typed={}, errors={}, **context)


@router.post("/{finding_id}/quarantine")
async def post_quarantine_form(
    *,
    request: Request,
    finding_id: str,
    member: Editor,
    pages: PagesDep,
    database: DatabaseDep,
    changes: ChangesDep,
) -> Response:
    found = await get_detail(database, member, finding_id)
    form = await parse_form(request, QuarantineForm)
    refused: AppError | None = None
    if form.data is not None:
        try:
            actor = make_actor(member)
            await changes.quarantine(member.connection.id, finding_id, actor, form.data.reason)
        except AppError as error:
            refused = error
        else:
            return redirect(f"{sentry_path(member)}/{found.finding.id}?done=quarantined")
    trial, _ = await _try_quarantine(changes, member, finding_id)
    context = {**describe_finding(member, found), "trial": trial, "refusal": read_details(refused)}
    return show_again(request, pages, _QUARANTINE, form, refused, **context)


@router.get("/{finding_id}/release")
async def get_release_page(
    request: Request, finding_id: str, member: Editor, pages: PagesDep, database: DatabaseDep
) -> Response:
    found = await get_detail(database, member, finding_id)
    return pages.render(request, _RELEASE, errors={}, refusal=None, **describe_finding(member, found))


@router.post("/{finding_id}/release")
async def post_release_form(
    *,
    request: Request,
    finding_id: str,
    member: Editor,
    pages: PagesDep,
    database: DatabaseDep,
    changes: ChangesDep,
) -> Response:
    return await _end(request, finding_id, member, pages, database, changes, gives_back=True)


@router.post("/{finding_id}/release/end")
async def post_end_form(
    *,
    request: Request,
    finding_id: str,
    member: Editor,
    pages: PagesDep,
    database: DatabaseDep,
    changes: ChangesDep,
) -> Response:
    """Nothing is given back: for an object that others have changed."""
    return await _end(request, finding_id, member, pages, database, changes, gives_back=False)


async def _end(
    request: Request,
    finding_id: str,
    member: Membership,
    pages: Pages,
    database: Database,
    changes: Changes,
    *,
    gives_back: bool,
) -> Response:
    found = await get_detail(database, member, finding_id)
    act = changes.release if gives_back else changes.end_quarantine
    try:
        await act(member.connection.id, finding_id, make_actor(member))
    except AppError as error:
        context = {**describe_finding(member, found), "refusal": read_details(error)}
        return show_again(request, pages, _RELEASE, Form({}), error, **context)
    done = "released" if gives_back else "ended"
    return redirect(f"{sentry_path(member)}/{found.finding.id}?done={done}")


async def _try_quarantine(
    changes: Changes, member: Membership, finding_id: str
) -> tuple[ShownQuarantineTrial | None, AppError | None]:
    try:
        return show_quarantine(await changes.preview_quarantine(member.connection.id, finding_id)), None
    except AppError as error:
        return None, error
