"""Executes an undo in one transaction on the project's PostgreSQL."""

from basewarden.undo.direct.strategy import DirectUndoStrategy

__all__ = ["DirectUndoStrategy"]
