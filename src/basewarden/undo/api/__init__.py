"""The way over a project's own API, where there is no transaction over several requests."""

from basewarden.undo.api.strategy import ApiUndoStrategy

__all__ = ["ApiUndoStrategy"]
