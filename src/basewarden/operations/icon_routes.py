"""`/favicon.ico`, the icon of all pages; browsers also request it for a response of the API."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from basewarden.web import anyone

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="4" fill="#1f4fa3"/>'
    '<path d="M5 7h14M5 11.5h9a3.5 3.5 0 0 1 0 7h-4m2-2.3-2.3 2.3L12 20.8" fill="none" stroke="white" stroke-width="2"'
    ' stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


@router.get("/favicon.ico")
async def get_icon() -> Response:
    return Response(_ICON, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})
