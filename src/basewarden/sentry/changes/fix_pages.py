"""`/c/<id>/sentry/<fid>/fix` and `…/undo-fix`: a fix is tried, shown, applied, and taken back."""

from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import CONFIRM_FIELD, FormConfirmationDep, ReauthRequired
from basewarden.connections import Membership, Owner
from basewarden.errors import AppError
from basewarden.sentry.changes.change_view import show_fix
from basewarden.sentry.changes.page_parts import describe_finding, get_detail, read_details, sentry_path
from basewarden.sentry.changes.routes import ChangesDep, make_actor
from basewarden.sentry.changes.service import Changes
from basewarden.web import DatabaseDep, Form, PagesDep, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}/sentry/{finding_id}", include_in_schema=False)

_FIX: Final = "sentry/fix.html"
_UNDO: Final = "sentry/undo_fix.html"
_SECRET: Final = (CONFIRM_FIELD,)


class PressForm(BaseModel):
    """Has nothing to fill in but, where the sign-in is old, the password."""


@router.get("/fix")
async def get_fix_page(
    *,
    request: Request,
    finding_id: str,
    member: Owner,
    pages: PagesDep,
    database: DatabaseDep,
    confirmation: FormConfirmationDep,
) -> Response:
    """Nothing is tried yet: that locks the table for a moment, and needs a press."""
    found = await get_detail(database, member, finding_id)
    methods = await confirmation.describe()
    context = {**describe_finding(member, found), "trial": None, "confirm_methods": methods, "has_gone_stale": False}
    return pages.render(request, _FIX, errors={}, refusal=None, **context)


@router.post("/fix/try")
async def post_try_fix(
    *,
    request: Request,
    finding_id: str,
    member: Owner,
    pages: PagesDep,
    database: DatabaseDep,
    changes: ChangesDep,
    confirmation: FormConfirmationDep,
) -> Response:
    """Shows the same page with what came of it; nothing is kept, so there is nothing to redirect to."""
    found = await get_detail(database, member, finding_id)
    context = {**describe_finding(member, found), "has_gone_stale": False, "trial": None, "refusal": None}
    context["confirm_methods"] = await confirmation.describe()
    try:
        preview = await changes.preview_fix(member.connection.id, finding_id)
    except AppError as error:
        return show_again(request, pages, _FIX, Form({}), error, **{**context, "refusal": read_details(error)})
    return pages.render(request, _FIX, errors={}, **{**context, "trial": show_fix(preview)})


@router.post("/fix")
async def post_fix_form(
    *,
    request: Request,
    finding_id: str,
    member: Owner,
    pages: PagesDep,
    database: DatabaseDep,
    changes: ChangesDep,
    confirmation: FormConfirmationDep,
) -> Response:
    found = await get_detail(database, member, finding_id)
    form = await parse_form(request, PressForm)
    try:
        await confirmation.confirm(form.typed)
        await changes.apply_fix(member.connection.id, finding_id, make_actor(member))
    except AppError as error:
        context = {**describe_finding(member, found), **await _describe_refusal(changes, member, finding_id, error)}
        context["confirm_methods"] = await confirmation.describe()
        return confirmation.finish(show_again(request, pages, _FIX, form, error, never_shown=_SECRET, **context))
    return confirmation.finish(redirect(f"{sentry_path(member)}/{found.finding.id}?done=fixed"))


@router.get("/undo-fix")
async def get_undo_page(
    *,
    request: Request,
    finding_id: str,
    member: Owner,
    pages: PagesDep,
    database: DatabaseDep,
    confirmation: FormConfirmationDep,
) -> Response:
    found = await get_detail(database, member, finding_id)
    context = {
        **describe_finding(member, found),
        "confirm_methods": await confirmation.describe(),
        "has_gone_stale": False,
    }
    return pages.render(request, _UNDO, errors={}, refusal=None, **context)


@router.post("/undo-fix")
async def post_undo_form(
    *,
    request: Request,
    finding_id: str,
    member: Owner,
    pages: PagesDep,
    database: DatabaseDep,
    changes: ChangesDep,
    confirmation: FormConfirmationDep,
) -> Response:
    found = await get_detail(database, member, finding_id)
    form = await parse_form(request, PressForm)
    try:
        await confirmation.confirm(form.typed)
        await changes.undo_fix(member.connection.id, finding_id, make_actor(member))
    except AppError as error:
        context = {**describe_finding(member, found), "refusal": read_details(error)}
        context |= {
            "has_gone_stale": isinstance(error, ReauthRequired),
            "confirm_methods": await confirmation.describe(),
        }
        return confirmation.finish(show_again(request, pages, _UNDO, form, error, never_shown=_SECRET, **context))
    return confirmation.finish(redirect(f"{sentry_path(member)}/{found.finding.id}?done=unfixed"))


async def _describe_refusal(changes: Changes, member: Membership, finding_id: str, error: AppError) -> dict[str, Any]:
    """For want of a password nothing was tried, so what was shown is tried again and shown."""
    is_stale = isinstance(error, ReauthRequired)
    trial = None
    if is_stale or error.status == 422:
        try:
            trial = show_fix(await changes.preview_fix(member.connection.id, finding_id))
        except AppError:
            trial = None
    return {"trial": trial, "has_gone_stale": is_stale, "refusal": read_details(error)}
