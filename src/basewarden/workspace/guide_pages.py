"""`/docs/guide`: the first guide."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.settings import Settings
from basewarden.web import anyone, provided
from basewarden.workspace.table_pages import ThePages

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@router.get("/docs/guide")
async def get_guide(
    request: Request, pages: ThePages, settings: Annotated[Settings, Depends(provided(Settings))]
) -> Response:
    return pages.render(request, "workspace/guide.html", origin=settings.origin)
