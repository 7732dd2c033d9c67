"""Dependencies that find a signed-in person: fully signed in, freshly, before the second factor, or if there is one."""

import asyncio
from typing import Annotated

from fastapi import Depends
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.errors import ReauthRequired
from basewarden.accounts.signin.devices import Devices
from basewarden.accounts.signin.sessions import Person, SignInSessions
from basewarden.errors import AppError, NotFound, Unauthenticated
from basewarden.web import CallerKind, CallerNeed, SettingsDep, Shell, ShellDep, callers, inject

SignInSessionsDep = Annotated[SignInSessions, Depends(inject(SignInSessions))]
_WITHOUT_BODY = frozenset({"GET", "HEAD"})
VISITOR_SECONDS = 1.0
"""An open page is shown without its frame rather than late."""


@callers(CallerKind.PERSON)
async def require_person(request: Request, signins: SignInSessionsDep, shell: ShellDep) -> Person:
    """Unauthenticated also where a token is sent along: a valid cookie does not make up for it."""
    _refuse_token(request)
    person = await signins.find_signed_in(request.scope)
    if person is not None and await _has_read_body(request):
        person = await signins.find_signed_in(request.scope)
    if person is None:
        raise Unauthenticated
    await shell.fill(request, person.id)
    request.state.viewer = person
    return person


SignedIn = Annotated[Person, Depends(require_person)]


@callers(CallerKind.ANYONE)
async def find_visitor(request: Request, signins: SignInSessionsDep, shell: ShellDep) -> Person | None:
    """The signed-in person, whose frame an open page keeps; None for everyone else and where the lookup fails.

    For the frame only: it grants nothing, and a failure of our database must not take an open page away.
    """
    try:
        async with asyncio.timeout(VISITOR_SECONDS):
            return await _fill_frame(request, signins, shell)
    except (AppError, SQLAlchemyError, TimeoutError):
        return None


Visitor = Annotated[Person | None, Depends(find_visitor)]


async def _fill_frame(request: Request, signins: SignInSessions, shell: Shell) -> Person | None:
    _refuse_token(request)
    person: Person | None = getattr(request.state, "viewer", None) or await signins.find_signed_in(request.scope)
    if person is None:
        return None
    if not hasattr(request.state, "connections"):
        await shell.fill(request, person.id)
    if not hasattr(request.state, "connection"):
        await shell.fill_connection(request, person.id, request.url.path)
    if not hasattr(request.state, "connection"):
        await shell.fill_last(request, person.id)
    request.state.viewer = person
    return person


async def show_visitor(request: Request) -> None:
    """Does the same for a page that no route answers, such as an error's."""
    registry = request.app.state.registry
    await find_visitor(request, registry.get(SignInSessions), registry.get(Shell))


@callers(CallerKind.PERSON, need=CallerNeed.RECENT)
async def require_fresh_person(person: SignedIn) -> Person:
    """For actions that a stolen cookie must not be enough for."""
    if not person.is_fresh:
        raise ReauthRequired
    return person


FreshlySignedIn = Annotated[Person, Depends(require_fresh_person)]


@callers(CallerKind.PERSON, need=CallerNeed.OPERATOR)
async def require_operator(person: SignedIn, settings: SettingsDep) -> Person:
    """A person whose confirmed address is one of `BASEWARDEN_OPERATORS`; to everyone else the path does not exist."""
    operators = {make_email_key(email) for email in settings.operators}
    if not person.is_verified or make_email_key(person.email) not in operators:
        raise NotFound
    return person


Operator = Annotated[Person, Depends(require_operator)]


@callers(CallerKind.PERSON, need=CallerNeed.WITHOUT_SECOND_FACTOR)
async def require_half_signed_in(request: Request, signins: SignInSessionsDep) -> Person:
    """The password was right; the second factor may still be missing."""
    _refuse_token(request)
    person = await signins.find_half_signed_in(request.scope)
    if person is not None and await _has_read_body(request):
        person = await signins.find_half_signed_in(request.scope)
    if person is None:
        raise Unauthenticated
    return person


HalfSignedIn = Annotated[Person, Depends(require_half_signed_in)]


async def _has_read_body(request: Request) -> bool:
    """Reads the body, and returns whether there was one: during a slow upload the session may have ended.

    A form is read by its handler, long after the cookie was checked, so the cookie is checked again after the body.
    The body of an unauthenticated request is not read at all.
    """
    if request.method in _WITHOUT_BODY:
        return False
    await request.body()
    return True


def _refuse_token(request: Request) -> None:
    bearer = request.headers.get("authorization", "").lower().startswith("bearer ")
    if bearer or "apikey" in request.headers:
        raise Unauthenticated("This needs a signed-in user; tokens are not accepted.")


async def find_caller(request: Request, signins: SignInSessions) -> Person | None:
    """The fully signed-in person, if there is one: a link works without a sign-in as well."""
    try:
        return await signins.find_signed_in(request.scope)
    except Unauthenticated:
        return None


DevicesDep = Annotated[Devices, Depends(inject(Devices))]
