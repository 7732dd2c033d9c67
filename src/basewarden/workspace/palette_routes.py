"""`GET /palette?q=`: results of the command palette for the page that it is opened on."""

import re
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from basewarden.accounts import Person, SignedIn
from basewarden.connections import ConnectionTargets, Role
from basewarden.core.ids import parse_id
from basewarden.db import ReadSession
from basewarden.errors import AppError
from basewarden.web import Reading, inject
from basewarden.workspace.palette import (
    MAX_PLACES,
    PaletteEntry,
    find_connections,
    find_pages,
    find_rows,
    find_sessions,
    find_tables,
)
from basewarden.workspace.table_client import BackendsDep, ProjectsDep, make_table_client

router = APIRouter(include_in_schema=False)

_CONNECTION_PAGE = re.compile(r"/c/([^/]+)")
MAX_TEXT = 100


class PaletteSearch:
    """Searches one connection for one person."""

    def __init__(
        self,
        targets: Annotated[ConnectionTargets, Depends(inject(ConnectionTargets))],
        projects: ProjectsDep,
        backends: BackendsDep,
    ) -> None:
        self._targets = targets
        self._projects = projects
        self._backends = backends

    async def search(self, db: ReadSession, connection_id: UUID, person: Person, text: str) -> list[PaletteEntry]:
        role = await self._targets.find_role(connection_id, person.id)
        if role is None:
            return []
        target = await self._targets.get_target(connection_id)
        near = [*find_pages(connection_id, target.name, text, role), *await find_sessions(db, connection_id, text)]
        try:
            return [*near, *await self._search_data(connection_id, person, role, text)]
        except AppError:  # without the database there are no tables and rows, but still the other results
            return near

    async def _search_data(self, connection_id: UUID, person: Person, role: Role, text: str) -> list[PaletteEntry]:
        client = await make_table_client(self._backends, self._projects, connection_id, person, role)
        return [*find_tables(client, connection_id, text), *await find_rows(client, connection_id, text)]


@router.get("/palette")
async def get_palette(
    request: Request,
    person: SignedIn,
    db: Reading,
    searcher: Annotated[PaletteSearch, Depends()],
    q: Annotated[str, Query(max_length=MAX_TEXT)] = "",
) -> dict[str, Any]:
    text = q.strip()
    current = _find_current(request)
    inside = await searcher.search(db, current, person, text) if current else []
    known = [(connection.id, connection.name) for connection in request.state.connections]
    places = [*inside, *find_connections(known, text)]
    return {"items": [asdict(place) for place in places[:MAX_PLACES]]}


def _find_current(request: Request) -> UUID | None:
    """Finds the current connection from the Referer header; access to it is checked like for any other id."""
    page = _CONNECTION_PAGE.match(urlsplit(request.headers.get("referer", "")).path)
    return parse_id(page[1]) if page else None
