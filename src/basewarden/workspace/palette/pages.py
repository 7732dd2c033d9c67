"""`/palette`, whose answers are parts of a page, and the same as whole pages: `/search` and `/shortcuts`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import SignedIn, Visitor
from basewarden.core.ids import parse_id
from basewarden.web import PagesDep, Reading, ShellDep
from basewarden.workspace.palette.items import add_rows
from basewarden.workspace.palette.search import PaletteSearch

router = APIRouter(include_in_schema=False)

MAX_TEXT = 100
SearchText = Annotated[str, Query(max_length=MAX_TEXT)]
ConnectionParameter = Annotated[str, Query(alias="in", max_length=MAX_TEXT)]
Searcher = Annotated[PaletteSearch, Depends()]


@router.get("/palette")
async def get_palette(
    request: Request,
    person: SignedIn,
    db: Reading,
    pages: PagesDep,
    searcher: Searcher,
    q: SearchText = "",
    within: ConnectionParameter = "",
) -> Response:
    """`in` is the id of the connection that is looked at; access to it is checked like for any other id."""
    groups = await searcher.search(db, parse_id(within), person, request.state.connections, q.strip())
    return pages.render(request, "workspace/palette.html", groups=groups, is_complete=True)


@router.get("/palette/rows")
async def get_rows(
    request: Request,
    person: SignedIn,
    pages: PagesDep,
    searcher: Searcher,
    q: SearchText = "",
    within: ConnectionParameter = "",
) -> Response:
    """Rows take longer than the rest, so they are asked for on their own."""
    rows = await searcher.search_rows(parse_id(within), person, q.strip())
    return pages.render(request, "workspace/palette.html", groups=rows.groups, is_complete=rows.is_complete)


@router.get("/search")
async def get_search(
    *,
    request: Request,
    person: SignedIn,
    db: Reading,
    pages: PagesDep,
    shell: ShellDep,
    searcher: Searcher,
    q: SearchText = "",
    within: ConnectionParameter = "",
) -> Response:
    """In the connection that is asked for, or in a person's only one."""
    known = request.state.connections
    within = within or (str(known[0].id) if len(known) == 1 else "")
    await shell.fill_connection(request, person.id, f"/c/{within}")
    text, connection_id = q.strip(), parse_id(within)
    groups = await searcher.search(db, connection_id, person, known, text)
    rows = await searcher.search_rows(connection_id, person, text)
    return pages.render(
        request,
        "workspace/search.html",
        groups=add_rows(groups, rows.groups),
        is_complete=rows.is_complete,
        text=text,
        within=within,
    )


@router.get("/shortcuts")
async def get_shortcuts(request: Request, _: Visitor, pages: PagesDep) -> Response:
    return pages.render(request, "workspace/shortcuts.html")
