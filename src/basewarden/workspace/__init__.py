"""The data pages: a connection's tables, the grid, a row with its history, the command palette."""

from basewarden.workspace.palette.commands import ExtraCommands
from basewarden.workspace.palette.items import PaletteItem

__all__ = ["ExtraCommands", "PaletteItem"]
