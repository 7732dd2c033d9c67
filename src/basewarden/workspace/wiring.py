"""Adds the pages of a connection and the list of connections, the palette's extra commands, and the names of rows."""

from functools import partial

from basewarden.gateway import Backends, Projects
from basewarden.journal import RowNames
from basewarden.web import Registry
from basewarden.workspace import cell_pages, connection_pages, copy_pages, home_pages, row_pages, table_pages
from basewarden.workspace.kept_counts import KeptCounts
from basewarden.workspace.palette import pages as palette_pages
from basewarden.workspace.palette.commands import ExtraCommands
from basewarden.workspace.row_names import read_row_names

ROUTERS = (
    connection_pages.router,
    home_pages.router,
    table_pages.router,
    cell_pages.router,
    copy_pages.router,
    row_pages.router,
    palette_pages.router,
)


def wire(registry: Registry) -> None:
    registry.add(RowNames(partial(read_row_names, registry.get(Backends), registry.get(Projects))))
    registry.add(ExtraCommands())
    registry.add(KeptCounts())
