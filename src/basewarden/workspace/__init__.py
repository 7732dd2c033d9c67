"""The data pages: a connection's tables, the grid, a row with its history, the palette, the guide."""

from fastapi import APIRouter

from basewarden.workspace import cell_pages, guide_pages, palette_routes, row_pages, table_pages

router = APIRouter()
for part in (table_pages, cell_pages, row_pages, palette_routes, guide_pages):
    router.include_router(part.router)

__all__ = ["router"]
