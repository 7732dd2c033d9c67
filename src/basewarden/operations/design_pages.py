"""`/design`: every component of the pages in every state, to check a visual change."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import Operator
from basewarden.web import PagesDep

router = APIRouter(include_in_schema=False)


@router.get("/design")
async def get_design(request: Request, _: Operator, pages: PagesDep) -> Response:
    return pages.render(request, "operations/design.html", now=datetime.now(UTC))
