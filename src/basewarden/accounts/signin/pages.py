"""Pages: signing out, and the list of active sessions. They work without JavaScript."""

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.return_path import SETTINGS, SIGN_IN
from basewarden.accounts.signin.callers import SignedIn, SignInSessionsDep
from basewarden.accounts.signin.cookies import clear_signin_cookies
from basewarden.accounts.signin.routes import SessionListDep, parse_signin_id
from basewarden.web import PagesDep, Reading, SettingsDep, Writing, anyone, redirect

SESSIONS = f"{SETTINGS}/sessions"
_DONE = {
    "ended": "That browser was signed out.",
    "ended-others": "Every other browser was signed out.",
}

router = APIRouter(include_in_schema=False)


@router.post("/signout", dependencies=[Depends(anyone)])
async def post_signout(
    request: Request, session: Writing, signins: SignInSessionsDep, settings: SettingsDep
) -> Response:
    token = signins.read_token(request.scope)
    if token:
        await signins.end(session, token)
    response = redirect(f"{SIGN_IN}?done=signout")
    clear_signin_cookies(response, settings)
    return response


@router.get(SESSIONS)
async def get_sessions(
    request: Request, person: SignedIn, session: Reading, pages: PagesDep, own: SessionListDep
) -> Response:
    return pages.render(
        request,
        "accounts/settings/sessions.html",
        settings_tab="sessions",
        signins=await own.list_alive(session, person),
        done=_DONE.get(request.query_params.get("done", "")),
    )


@router.post(f"{SESSIONS}/end-others")
async def post_end_others(
    person: SignedIn, session: Writing, own: SessionListDep, client_info: ClientInfoDep
) -> Response:
    await own.end_others(session, person, client_info)
    return redirect(f"{SESSIONS}?done=ended-others")


@router.post(f"{SESSIONS}/{{session_id}}/end")
async def post_end(
    *,
    session_id: str,
    person: SignedIn,
    session: Writing,
    own: SessionListDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    wanted = parse_signin_id(session_id)
    await own.end(session, person, wanted, client_info)
    if wanted != person.signin_id:
        return redirect(f"{SESSIONS}?done=ended")
    response = redirect("/signin?done=signout")
    clear_signin_cookies(response, settings)
    return response
