"""The check that lets signed-in people in."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from basewarden.accounts.signins import Person, Signins
from basewarden.errors import Unauthenticated
from basewarden.web import CallerKind, callers, provided


@callers(CallerKind.PERSON)
async def require_person(request: Request, signins: Annotated[Signins, Depends(provided(Signins))]) -> Person:
    """Unauthenticated also where a token came along: a bad credential is not made good by another one."""
    if _has_token(request):
        raise Unauthenticated("A token does not open this; only a signed-in person does.")
    person = await signins.find_signed_in(request.scope)
    if person is None:
        raise Unauthenticated
    request.state.viewer = person
    return person


SignedIn = Annotated[Person, Depends(require_person)]


def _has_token(request: Request) -> bool:
    bearer = request.headers.get("authorization", "").lower().startswith("bearer ")
    return bearer or "apikey" in request.headers
