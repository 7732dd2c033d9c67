"""Executes an undo over a project's REST API, which has no transaction over several requests."""

from basewarden.undo.api.strategy import ApiUndoStrategy

__all__ = ["ApiUndoStrategy"]
