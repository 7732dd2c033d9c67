"""The page of passkeys. Adding one needs JavaScript, because WebAuthn does; the rest works without."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.passkeys.routes import PasskeysDep, parse_passkey_id
from basewarden.accounts.passkeys.schemas import PasskeyRename
from basewarden.accounts.passkeys.service import MAX_PASSKEYS, get_passkey, list_passkeys
from basewarden.accounts.return_path import confirm_path
from basewarden.accounts.signin.callers import FreshlySignedIn, SignedIn
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.web import PagesDep, Reading, SettingsDep, Writing, parse_form, redirect, show_again

HERE = "/settings/account/passkeys"
_TAB = "passkeys"
_DONE = {
    "added": "Passkey added. You can now sign in with it.",
    "renamed": "Renamed.",
    "removed": "Passkey removed. You can no longer sign in with it.",
}

router = APIRouter(prefix=HERE, include_in_schema=False)


class RemoveForm(BaseModel):
    """`end_others` is the checkbox that signs out everywhere else."""

    end_others: bool = False


@router.get("")
async def get_list(request: Request, person: SignedIn, session: Reading, pages: PagesDep) -> Response:
    passkeys = await list_passkeys(session, person.id)
    return pages.render(
        request,
        "accounts/passkeys/list.html",
        settings_tab=_TAB,
        passkeys=passkeys,
        has_room=len(passkeys) < MAX_PASSKEYS,
        is_fresh=person.is_fresh,
        confirm_href=confirm_path(HERE),
        done=_DONE.get(request.query_params.get("done", "")),
    )


@router.get("/{passkey_id}/rename")
async def get_rename(
    *, request: Request, passkey_id: str, person: SignedIn, session: Reading, pages: PagesDep
) -> Response:
    passkey = await get_passkey(session, person.id, parse_passkey_id(passkey_id))
    typed = {"name": passkey.name}
    context: dict[str, Any] = {"settings_tab": _TAB, "passkey": passkey}
    return pages.render(request, "accounts/passkeys/rename.html", typed=typed, errors={}, **context)


@router.post("/{passkey_id}/rename")
async def post_rename(
    *,
    request: Request,
    passkey_id: str,
    person: SignedIn,
    session: Writing,
    reading: Reading,
    pages: PagesDep,
    passkeys: PasskeysDep,
    client_info: ClientInfoDep,
) -> Response:
    wanted = parse_passkey_id(passkey_id)
    form = await parse_form(request, PasskeyRename)
    if form.data is None:
        context: dict[str, Any] = {"settings_tab": _TAB, "passkey": await get_passkey(reading, person.id, wanted)}
        return show_again(request, pages, "accounts/passkeys/rename.html", form, **context)
    await passkeys.rename(session, person, wanted, form.data.name, client_info)
    return redirect(f"{HERE}?done=renamed")


@router.get("/{passkey_id}/remove")
async def get_remove(
    *, request: Request, passkey_id: str, person: FreshlySignedIn, session: Reading, pages: PagesDep
) -> Response:
    passkey = await get_passkey(session, person.id, parse_passkey_id(passkey_id))
    return pages.render(request, "accounts/passkeys/remove.html", settings_tab=_TAB, passkey=passkey)


@router.post("/{passkey_id}/remove")
async def post_remove(
    *,
    request: Request,
    passkey_id: str,
    person: FreshlySignedIn,
    session: Writing,
    passkeys: PasskeysDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    """LastSignInMethod rolls the deletion back, and its error page says what to do first."""
    form = await parse_form(request, RemoveForm)
    end_others = form.data is not None and form.data.end_others
    tokens = await passkeys.remove(session, person, parse_passkey_id(passkey_id), client_info, end_others=end_others)
    response = redirect(f"{HERE}?done=removed")
    set_signin_cookies(response, settings, tokens)
    return response
