"""Pages: exporting one's data and deleting the account. Both ask for a fresh sign-in."""

from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.data.deletion import WAIT, Blocker
from basewarden.accounts.data.routes import DeletionsDep, ExportDep, respond_with_export
from basewarden.accounts.errors import SoleOwner
from basewarden.accounts.return_path import confirm_path
from basewarden.accounts.signin.callers import FreshlySignedIn, SignedIn
from basewarden.accounts.signin.sessions import Person
from basewarden.db import ReadSession
from basewarden.web import Pages, PagesDep, Reading, Writing, parse_form, redirect

DATA = "/settings/account/data"
DELETE = "/settings/account/delete"

router = APIRouter(include_in_schema=False)

_DONE = {
    "kept": "The deletion was cancelled. Nothing was deleted.",
    "confirmed": "Identity confirmed. You can continue.",
}


class DeleteAccountForm(BaseModel):
    confirm: str = ""


@router.get(DATA)
async def get_data(
    request: Request, person: SignedIn, session: Reading, pages: PagesDep, deletions: DeletionsDep
) -> Response:
    return pages.render(
        request,
        "accounts/data/data.html",
        settings_tab="data",
        person=person,
        blockers=await deletions.list_blockers(session, person.id),
        done=_DONE.get(request.query_params.get("done", "")),
    )


@router.get(f"{DATA}/export")
async def get_file(person: SignedIn, export: ExportDep, client_info: ClientInfoDep) -> Response:
    """Confirming returns to the page, because after a download the browser would still show the confirmation."""
    if not person.is_fresh:
        return redirect(confirm_path(f"{DATA}?done=confirmed"))
    return respond_with_export(export, person, client_info)


@router.get(DELETE)
async def get_delete(
    request: Request, person: FreshlySignedIn, session: Reading, pages: PagesDep, deletions: DeletionsDep
) -> Response:
    if person.deletion_due_at is not None:
        return redirect(DATA)
    return _ask(request, pages, person, await deletions.list_blockers(session, person.id))


@router.post(DELETE)
async def post_delete(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    deletions: DeletionsDep,
    client_info: ClientInfoDep,
) -> Response:
    if not person.is_fresh:
        return redirect(confirm_path(DELETE))
    form = await parse_form(request, DeleteAccountForm)
    if form.data is None or make_email_key(form.data.confirm) != make_email_key(person.email):
        blockers = await deletions.list_blockers(ReadSession(session), person.id)
        return _ask(request, pages, person, blockers, error="Type your email address exactly as shown above.")
    try:
        await deletions.schedule(session, person, client_info)
    except SoleOwner as refused:
        blockers = await deletions.list_blockers(ReadSession(session), person.id)
        return _ask(request, pages, person, blockers, status=refused.status)
    return redirect(DATA)


@router.post(f"{DELETE}/cancel")
async def post_cancel(
    person: SignedIn, session: Writing, deletions: DeletionsDep, client_info: ClientInfoDep
) -> Response:
    await deletions.cancel(session, person, client_info)
    return redirect(f"{DATA}?done=kept")


def _ask(
    request: Request,
    pages: Pages,
    person: Person,
    blockers: list[Blocker],
    *,
    error: str | None = None,
    status: int = HTTPStatus.OK,
) -> Response:
    return pages.render(
        request,
        "accounts/data/delete.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if error else status,
        settings_tab="data",
        person=person,
        blockers=blockers,
        due=datetime.now(UTC) + WAIT,
        error=error,
    )
