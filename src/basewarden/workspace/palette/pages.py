"""`/palette`, whose answers are parts of a page, and the same as whole pages: `/search` and `/shortcuts`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import SignedIn, Visitor
from basewarden.core.ids import parse_id
from basewarden.db import ReadSession
from basewarden.web import PagesDep, Reading, ShellDep
from basewarden.workspace.palette.items import PaletteGroup
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
    return pages.render(request, "workspace/palette.html", groups=groups)


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
    groups = await searcher.search_rows(parse_id(within), person, q.strip())
    return pages.render(request, "workspace/palette.html", groups=groups)


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
    await shell.fill_connection(request, person.id, f"/c/{within}")
    groups = await _search_all(request, db, person, searcher, q.strip(), within)
    return pages.render(request, "workspace/search.html", groups=groups, text=q.strip(), within=within)


@router.get("/shortcuts")
async def get_shortcuts(request: Request, _: Visitor, pages: PagesDep) -> Response:
    return pages.render(request, "workspace/shortcuts.html")


async def _search_all(
    request: Request, db: ReadSession, person: SignedIn, searcher: PaletteSearch, text: str, within: str
) -> list[PaletteGroup]:
    connection_id = parse_id(within)
    rows = await searcher.search_rows(connection_id, person, text)
    return [*await searcher.search(db, connection_id, person, request.state.connections, text), *rows]
