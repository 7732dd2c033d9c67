"""Dependencies that require a signed-in person: fully signed in, freshly signed in, or before the second factor."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.errors import ReauthRequired
from basewarden.accounts.signin.devices import Devices
from basewarden.accounts.signin.sessions import Person, SignInSessions
from basewarden.errors import NotFound, Unauthenticated
from basewarden.web import CallerKind, SettingsDep, Shell, callers, inject

SignInSessionsDep = Annotated[SignInSessions, Depends(inject(SignInSessions))]
ShellDep = Annotated[Shell, Depends(inject(Shell))]
_WITHOUT_BODY = frozenset({"GET", "HEAD"})


@callers(CallerKind.PERSON)
async def require_person(request: Request, signins: SignInSessionsDep, shell: ShellDep) -> Person:
    """Unauthenticated also where a token is sent along: a valid cookie does not make up for it."""
    _refuse_token(request)
    person = await signins.find_signed_in(request.scope)
    if person is not None and await _has_read_body(request):
        person = await signins.find_signed_in(request.scope)
    if person is None:
        raise Unauthenticated
    request.state.viewer = person
    await shell.fill(request, person.id)
    return person


SignedIn = Annotated[Person, Depends(require_person)]


async def require_fresh_person(person: SignedIn) -> Person:
    """For actions that a stolen cookie must not be enough for."""
    if not person.is_fresh:
        raise ReauthRequired
    return person


FreshlySignedIn = Annotated[Person, Depends(require_fresh_person)]


async def require_operator(person: SignedIn, settings: SettingsDep) -> Person:
    """A person whose confirmed address is one of `BASEWARDEN_OPERATORS`; to everyone else the path does not exist."""
    operators = {make_email_key(email) for email in settings.operators}
    if not person.is_verified or make_email_key(person.email) not in operators:
        raise NotFound
    return person


Operator = Annotated[Person, Depends(require_operator)]


@callers(CallerKind.PERSON)
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
