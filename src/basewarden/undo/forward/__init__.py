"""The way over a project's own API, where there is no transaction over several requests."""

from basewarden.undo.forward.way import ForwardWay

__all__ = ["ForwardWay"]
