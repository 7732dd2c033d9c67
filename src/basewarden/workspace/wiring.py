"""The routes of a connection's pages and of the list of connections; they keep no object in the registry."""

from basewarden.workspace import cell_pages, connection_pages, home_pages, row_pages, table_pages
from basewarden.workspace.palette import pages as palette_pages

ROUTERS = (
    connection_pages.router,
    home_pages.router,
    table_pages.router,
    cell_pages.router,
    row_pages.router,
    palette_pages.router,
)
