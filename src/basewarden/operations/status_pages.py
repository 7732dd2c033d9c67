"""`/status`: the health check in words. Needs no database, so that it can report that there is none."""

from datetime import UTC, datetime

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import Visitor
from basewarden.operations.health_routes import HealthDep
from basewarden.web import PagesDep, anyone

STARTED_AT = datetime.now(UTC)

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@router.get("/status")
async def get_status(request: Request, _: Visitor, pages: PagesDep, health: HealthDep) -> Response:
    """200 even when the database is down: the page itself works, and programs use /api/health."""
    report = await health.report()
    now = datetime.now(UTC)
    return pages.render(request, "operations/status.html", report=report, checked_at=now, started_at=STARTED_AT)
