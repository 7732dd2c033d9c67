"""`GET /palette?q=`: the places that Ctrl/Cmd-K goes to, seen from the page that asks."""

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
from basewarden.workspace.desk import ProjectsDep, RoadsDep, make_desk
from basewarden.workspace.palette import (
    MAX_PLACES,
    PaletteEntry,
    find_connections,
    find_rooms,
    find_rows,
    find_sessions,
    find_tables,
)

router = APIRouter(include_in_schema=False)

_CONNECTION_PAGE = re.compile(r"/c/([^/]+)")
MAX_TEXT = 100


class Searcher:
    """Looks around in one connection for one person."""

    def __init__(
        self,
        targets: Annotated[ConnectionTargets, Depends(inject(ConnectionTargets))],
        projects: ProjectsDep,
        roads: RoadsDep,
    ) -> None:
        self._targets = targets
        self._projects = projects
        self._roads = roads

    async def search(self, db: ReadSession, connection_id: UUID, person: Person, text: str) -> list[PaletteEntry]:
        role = await self._targets.find_role(connection_id, person.id)
        if role is None:
            return []
        target = await self._targets.get_target(connection_id)
        near = [*find_rooms(connection_id, target.name, text, role), *await find_sessions(db, connection_id, text)]
        try:
            return [*near, *await self._search_data(connection_id, person, role, text)]
        except AppError:  # a database that cannot be reached hides its tables, not the rest
            return near

    async def _search_data(self, connection_id: UUID, person: Person, role: Role, text: str) -> list[PaletteEntry]:
        desk = await make_desk(self._roads, self._projects, connection_id, person, role)
        return [*find_tables(desk, connection_id, text), *await find_rows(desk, connection_id, text)]


@router.get("/palette")
async def get_palette(
    request: Request,
    person: SignedIn,
    db: Reading,
    searcher: Annotated[Searcher, Depends()],
    q: Annotated[str, Query(max_length=MAX_TEXT)] = "",
) -> dict[str, Any]:
    text = q.strip()
    current = _find_current(request)
    inside = await searcher.search(db, current, person, text) if current else []
    known = [(connection.id, connection.name) for connection in request.state.connections]
    places = [*inside, *find_connections(known, text)]
    return {"items": [asdict(place) for place in places[:MAX_PLACES]]}


def _find_current(request: Request) -> UUID | None:
    """The browser tells the page that asks; it is only a hint, and checked like any other id."""
    page = _CONNECTION_PAGE.match(urlsplit(request.headers.get("referer", "")).path)
    return parse_id(page[1]) if page else None
