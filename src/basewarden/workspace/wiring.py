"""The routes of the data pages. They keep no object of their own in the registry."""

from basewarden.workspace import cell_pages, guide_pages, row_pages, table_pages
from basewarden.workspace.palette import pages as palette_pages

ROUTERS = (
    table_pages.router,
    cell_pages.router,
    row_pages.router,
    palette_pages.router,
    guide_pages.router,
)
