"""`/contact`. For anybody, signed in or not; works without script."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep, Person, Visitor
from basewarden.contact.service import TOPICS, Contact, ContactMessage
from basewarden.errors import NotConfigured, TooMany
from basewarden.web import PagesDep, Writing, anyone, inject, parse_form, redirect, show_again

_TEMPLATE = "contact/contact.html"
_DONE = "/contact?done=sent"
_TRAP = "website"
"""A field that no person sees; programs that fill in everything fill it in too."""

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])

ContactDep = Annotated[Contact, Depends(inject(Contact))]


@router.get("/contact")
async def get_contact(request: Request, visitor: Visitor, pages: PagesDep, contact: ContactDep) -> Response:
    is_sent = request.query_params.get("done") == "sent"
    return pages.render(
        request, _TEMPLATE, typed=_prefill(visitor), errors={}, is_sent=is_sent, contact=contact, topics=TOPICS
    )


@router.post("/contact")
async def post_contact(
    *,
    request: Request,
    _: Visitor,
    session: Writing,
    pages: PagesDep,
    contact: ContactDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, ContactMessage)
    if form.typed.get(_TRAP):
        return redirect(_DONE)
    context: dict[str, Any] = {"is_sent": False, "contact": contact, "topics": TOPICS}
    if form.data is None:
        return show_again(request, pages, _TEMPLATE, form, **context)
    try:
        await contact.send(session, form.data, client_info)
    except (NotConfigured, TooMany) as error:
        return show_again(request, pages, _TEMPLATE, form, error, **context)
    return redirect(_DONE)


def _prefill(visitor: Person | None) -> dict[str, str]:
    """Fills in what is known about a signed-in person; they may change it."""
    return {"name": visitor.name, "email": visitor.email} if visitor else {}
