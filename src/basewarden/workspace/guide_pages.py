"""`/docs/guide`: the guide for new users."""

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.web import PagesDep, SettingsDep, anyone

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@router.get("/docs/guide")
async def get_guide(request: Request, pages: PagesDep, settings: SettingsDep) -> Response:
    return pages.render(request, "workspace/guide.html", origin=settings.origin)
