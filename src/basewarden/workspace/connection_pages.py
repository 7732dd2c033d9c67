"""`/connections`: a person's connections, the ones with the latest writes first."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from pydantic import AfterValidator
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import SignedIn
from basewarden.core.text import check_storable
from basewarden.web import PagesDep, Reading
from basewarden.workspace.connection_list import MAX_CONNECTIONS, PER_PAGE, read_connections

router = APIRouter(include_in_schema=False)

_DONE = {
    "deleted": "Connection deleted. Its database was not changed.",
    "left": "You left the connection.",
}
_MAX_PAGE = MAX_CONNECTIONS // PER_PAGE + 1


@router.get("/connections")
async def get_list(
    request: Request,
    person: SignedIn,
    db: Reading,
    pages: PagesDep,
    q: Annotated[str, Query(max_length=80), AfterValidator(check_storable)] = "",
    page: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 1,
) -> Response:
    """`q` finds connections by name."""
    text = q.strip()
    found = await read_connections(db, person, text=text or None, page=page)
    first = (page - 1) * PER_PAGE + 1
    return pages.render(
        request,
        "workspace/connections.html",
        items=found.shown,
        total=found.total,
        query=text,
        is_filterable=bool(text) or found.total > PER_PAGE // 4,
        previous_href=_make_href(text, page - 1) if page > 1 else None,
        next_href=_make_href(text, page + 1) if found.has_next else None,
        first=first,
        last=first + len(found.shown) - 1,
        done=_DONE.get(request.query_params.get("done", "")),
    )


def _make_href(text: str, page: int) -> str:
    values = {name: value for name, value in (("q", text), ("page", page if page > 1 else "")) if value}
    return f"/connections?{urlencode(values)}" if values else "/connections"
