"""`/c/<id>/guard`: the settings of the guard against exfiltration, and what it finds in the project."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import CONFIRM_FIELD, ClientInfoDep, FormConfirmation, FormConfirmationDep, ReauthRequired
from basewarden.connections.callers import Membership, Owner
from basewarden.connections.guard.findings import GuardFindings, SensitiveValues
from basewarden.connections.guard.forms import GuardForm, fill_in_guard
from basewarden.connections.guard.routes import GuardFindingsDep, GuardSettingsDep
from basewarden.connections.guard.values import is_weaker, read_guard
from basewarden.errors import AppError
from basewarden.web import PagesDep, Writing, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}/guard", include_in_schema=False)

_PAGE = "connections/guard/settings.html"
_MOST_SHOWN = 200
_KINDS = {
    "email": "email addresses",
    "card": "card numbers",
    "iban": "bank accounts",
    "jwt": "tokens",
    "private_key": "private keys",
}
_READERS = {
    "anon": "anyone",
    "anyone": "anyone, by your mark",
    "authenticated": "people who sign in",
    "public": "every database role",
}


@router.get("")
async def get_guard_page(
    request: Request, member: Owner, pages: PagesDep, findings: GuardFindingsDep, confirmation: FormConfirmationDep
) -> Response:
    typed = fill_in_guard(read_guard(member.connection))
    context = await _describe(member, findings, confirmation)
    is_done = request.query_params.get("done") == "saved"
    return pages.render(request, _PAGE, typed=typed, errors={}, is_done=is_done, **context)


@router.post("")
async def post_guard(
    *,
    request: Request,
    member: Owner,
    session: Writing,
    pages: PagesDep,
    settings: GuardSettingsDep,
    findings: GuardFindingsDep,
    confirmation: FormConfirmationDep,
    client_info: ClientInfoDep,
) -> Response:
    """Asks who it is only where agents may write more afterwards."""
    form = await parse_form(request, GuardForm)
    error: AppError | None = None
    try:
        if form.data is not None:
            wanted = form.data.as_guard()
            is_asked = is_weaker(read_guard(member.connection), wanted)
            if is_asked:
                await confirmation.confirm(form.typed)
            is_confirmed = is_asked or member.person.is_fresh
            await settings.change(session, member, wanted, client_info, is_confirmed=is_confirmed)
            return confirmation.finish(redirect(f"/c/{member.connection.id}/guard?done=saved"))
    except AppError as refused:
        error = refused
    is_stale = isinstance(error, ReauthRequired)
    shown = form if error is None or is_stale else form.with_app_error(error)
    context = await _describe(member, findings, confirmation, is_asked=is_stale or CONFIRM_FIELD in shown.errors)
    context |= {"has_gone_stale": is_stale, "is_done": False}
    page = show_again(request, pages, _PAGE, form, error, never_shown=(CONFIRM_FIELD,), **context)
    return confirmation.finish(page)


@router.post("/sample")
async def post_guard_sample(
    request: Request, member: Owner, pages: PagesDep, findings: GuardFindingsDep, confirmation: FormConfirmationDep
) -> Response:
    """Shows the form with what was found added to it; only saving it marks anything."""
    typed = fill_in_guard(read_guard(member.connection))
    sampled: list[SensitiveValues] = []
    errors: dict[str, str] = {}
    try:
        sampled = list(await findings.sample_values(member.connection.id))
    except AppError as error:
        errors = {"": error.text}
    added = (f"{one.table.removeprefix('public.')}.{one.column}" for one in sampled)
    typed["sensitive"] = "\n".join(filter(None, (typed["sensitive"], *added)))
    context = await _describe(member, findings, confirmation)
    return pages.render(
        request, _PAGE, typed=typed, errors=errors, is_done=False, **context | {"sampled": sampled, "is_sampled": True}
    )


async def _describe(
    member: Membership, findings: GuardFindings, confirmation: FormConfirmation, *, is_asked: bool = False
) -> dict[str, Any]:
    connection = member.connection
    found = await findings.list_tables(connection.id)
    shown = [
        (
            one.name.removeprefix("public."),
            one.columns,
            list(dict.fromkeys(_READERS.get(role, role) for role in one.readers)),
            one.by_strangers,
        )
        for one in (found or ())[:_MOST_SHOWN]
    ]
    return {
        "tables": shown,
        "is_listed": found is not None,
        "more": max(0, len(found or ()) - _MOST_SHOWN),
        "confirm_methods": await confirmation.describe() if is_asked else None,
        "has_gone_stale": False,
        "kinds": _KINDS,
        "sampled": (),
        "is_sampled": False,
    }
