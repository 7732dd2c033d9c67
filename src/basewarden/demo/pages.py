"""The pages that only a demo has: its sign-in link, and the button that lets the agent break something."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import (
    AccountsDep,
    ClientInfoDep,
    SignedIn,
    SignIn,
    SignInSessionsDep,
    second_step_path,
    set_signin_cookies,
)
from basewarden.demo.agent_hold import find_hold
from basewarden.demo.agent_runs import AgentRuns
from basewarden.demo.data import EMAIL
from basewarden.demo.signin_link import SigninLink
from basewarden.errors import NotFound
from basewarden.web import PagesDep, Reading, SettingsDep, Writing, anyone, inject, redirect

router = APIRouter(prefix="/demo", include_in_schema=False)

AgentRunsDep = Annotated[AgentRuns, Depends(inject(AgentRuns))]
SigninLinkDep = Annotated[SigninLink, Depends(inject(SigninLink))]


@router.get("/agent")
async def get_agent(person: SignedIn, runs: AgentRunsDep) -> Response:
    """Leads from the address of the form to where a run appears."""
    return redirect(_path(runs, "sessions") if person.email == EMAIL else "/")


@router.get("/{token}", dependencies=[Depends(anyone)])
async def get_signin(
    *,
    token: str,
    request: Request,
    session: Writing,
    link: SigninLinkDep,
    runs: AgentRunsDep,
    accounts: AccountsDep,
    signins: SignInSessionsDep,
    client_info: ClientInfoDep,
    settings: SettingsDep,
    pages: PagesDep,
) -> Response:
    if not link.redeem(token, request.client.host if request.client else None):
        return pages.render(request, "demo/used.html", status=410, email=EMAIL)
    data = runs.data
    result = await accounts.sign_in(
        session,
        SignIn(email=data.email, password=SecretStr(data.password.reveal())),
        client_info,
        previous_token=signins.read_token(request.scope),
        device=None,
        method="demo_link",
    )
    home = f"/c/{data.connection_id}"
    response = redirect(second_step_path(home) if result.needs_mfa else home)
    set_signin_cookies(response, settings, result.tokens)
    return response


@router.post("/agent")
async def post_agent(request: Request, person: SignedIn, db: Reading, runs: AgentRunsDep, pages: PagesDep) -> Response:
    """Starts a run, unless one is going on, and leads to where its session appears; or says what holds the agent."""
    if person.email != EMAIL:
        raise NotFound
    held = await find_hold(db, person.id, runs.data)
    if held is not None:
        return pages.render(request, "demo/held.html", status=409, held=held, sessions=_path(runs, "sessions"))
    await runs.start()
    return redirect(_path(runs, "sessions"))


def _path(runs: AgentRuns, page: str) -> str:
    return f"/c/{runs.data.connection_id}/{page}"
