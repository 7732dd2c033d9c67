"""`/c/<id>/health`: the card of a connection's home that shows its current health."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections.callers import Viewer
from basewarden.connections.health import check_health
from basewarden.connections.routes import ConnectionsDep
from basewarden.web import PagesDep

router = APIRouter(prefix="/c/{connection_id}/health", include_in_schema=False)


@router.get("")
async def get_health(request: Request, member: Viewer, pages: PagesDep, connections: ConnectionsDep) -> Response:
    """Checks now; the home page requests this once it is shown."""
    health = await check_health(member, connections)
    return pages.render(request, "connections/health.html", member=member, health=health)
