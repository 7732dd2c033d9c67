"""Executes an undo in one transaction on the project's PostgreSQL."""

from basewarden.undo.direct.strategy import DirectWay

__all__ = ["DirectWay"]
