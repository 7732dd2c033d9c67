"""Pages: the linked GitHub account, and confirming one's identity with GitHub. They work without JavaScript."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.github.errors import ERROR_MESSAGES
from basewarden.accounts.github.routes import PAGE, GitHubDep, set_browser_cookie
from basewarden.accounts.github.states import AuthorizationPurpose
from basewarden.accounts.return_path import confirm_path
from basewarden.accounts.signin.callers import FreshlySignedIn, SignedIn
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.errors import Conflict
from basewarden.web import PagesDep, Reading, SettingsDep, Writing, redirect

_DONE = {
    "linked": "GitHub is linked. You can now sign in with it.",
    "unlinked": "GitHub is unlinked, and your other browsers were signed out.",
}
_ERROR_MESSAGES = {
    **ERROR_MESSAGES,
    "only_way": "GitHub is the only way to sign in to this account, so it was not unlinked. Add a passkey first.",
}

router = APIRouter(prefix=PAGE, include_in_schema=False)


@router.get("")
async def get_page(
    request: Request, person: SignedIn, session: Reading, github: GitHubDep, pages: PagesDep
) -> Response:
    word = request.query_params.get("done", "")
    return pages.render(
        request,
        "accounts/github/page.html",
        settings_tab="github",
        link=await github.find_link(session, person.id),
        is_only_way=await github.is_only_signin_method(session, person),
        is_fresh=person.is_fresh,
        confirm_href=confirm_path(PAGE),
        done=_DONE.get(word),
        error_message=_ERROR_MESSAGES.get(word),
    )


@router.post("/link")
async def post_link(
    *,
    request: Request,
    person: FreshlySignedIn,
    github: GitHubDep,
    pages: PagesDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    """Renders a page that redirects by itself, because our form-action policy forbids a form to lead to GitHub."""
    authorization = await github.start_authorization(
        AuthorizationPurpose.LINKING, client_info, person=person, back_to=PAGE
    )
    response = pages.render(request, "accounts/github/leaving.html", url=authorization.url)
    set_browser_cookie(response, settings, authorization)
    return response


@router.post("/unlink")
async def post_unlink(
    person: FreshlySignedIn, session: Writing, github: GitHubDep, settings: SettingsDep, client_info: ClientInfoDep
) -> Response:
    try:
        tokens = await github.unlink(session, person, client_info)
    except Conflict:
        return redirect(f"{PAGE}?done=only_way")
    response = redirect(f"{PAGE}?done=unlinked")
    set_signin_cookies(response, settings, tokens)
    return response


@router.get("/confirm")
async def get_confirm(
    request: Request, person: SignedIn, github: GitHubDep, settings: SettingsDep, client_info: ClientInfoDep
) -> Response:
    """Redirects to GitHub, and from there back to `next` with a fresh sign-in."""
    back_to = request.query_params.get("next", PAGE)
    authorization = await github.start_authorization(
        AuthorizationPurpose.CONFIRMING, client_info, person=person, back_to=back_to
    )
    response = RedirectResponse(authorization.url, status_code=303)
    set_browser_cookie(response, settings, authorization)
    return response
